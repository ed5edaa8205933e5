"""Run a program where the kernel's limits and mounts are nobody else's."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run_in_namespace(program: str, *arguments: str | os.PathLike[str], mounts: bool = False) -> str:
    """Run a Python program in a user namespace of its own (and one of mounts), and return what it prints.

    It must end well. Skips the test where no namespace can be made.
    """
    words = ["unshare", "--user", "--map-root-user", *(["--mount"] if mounts else [])]
    done = subprocess.run(
        [*words, sys.executable, "-c", program, *arguments], capture_output=True, text=True, timeout=60
    )
    if "unshare failed" in done.stderr:
        pytest.skip("no user namespace can be made here")
    assert done.returncode == 0, done.stderr
    return done.stdout
