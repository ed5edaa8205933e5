"""Run ``dfud verify`` as a user would."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.helpers.uploading import WAIT_S


def verify(
    directory: Path, config: Path, topic: str, *options: object, seconds: float = WAIT_S
) -> tuple[int, str]:
    """Compare a directory with a topic; return the exit status and the output."""
    words = ["verify", directory, "--config", config, "--topic_name", topic, *options]
    done = subprocess.run(
        [sys.executable, "-m", "dfud", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        timeout=seconds,
        check=False,
    )
    return done.returncode, done.stdout
