"""Run a program with kernel limits and mounts of its own."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest


def run_in_namespace(program: str, *arguments: str | os.PathLike[str], mounts: bool = False) -> str:
    """Run a Python program in a new user namespace (and mount namespace) and return what it prints.

    It has to exit with 0. Skips the test if no namespace can be created.
    """
    words = ["unshare", "--user", "--map-root-user", *(["--mount"] if mounts else [])]
    done = subprocess.run(
        [*words, sys.executable, "-c", program, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if "unshare failed" in done.stderr:
        pytest.skip("cannot create a user namespace here")
    assert done.returncode == 0, done.stderr
    return done.stdout
