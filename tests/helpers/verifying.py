"""Run ``dfud verify`` as a user would."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.helpers.uploading import WAIT_S

# Waits for a line between the questions before a verification and the reading.
_WITH_A_PAUSE = """
import sys
from collections.abc import Callable
import dfud.verifying.run as run

def read_topic(*arguments):
    print("asked", flush=True)
    sys.stdin.readline()
    return read_all(*arguments)

read_all, run.read_topic = run.read_topic, read_topic
from dfud.commands.main import main
main()
"""


def verify_meanwhile(directory: Path, config: Path, topic: str, change: Callable[[], object]) -> tuple[int, str]:
    """Do as `verify`, and `change` something once the reading is about to begin."""
    words = ["verify", directory, "--config", config, "--topic_name", topic]
    with subprocess.Popen(
        [sys.executable, "-c", _WITH_A_PAUSE, *map(str, words)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "asked\n"
        change()
        text, _ = running.communicate("\n", WAIT_S)
        return running.returncode, text


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
