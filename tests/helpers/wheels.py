"""All that a checkout needs to be installed without a network, downloaded once."""

from __future__ import annotations

import configparser
import fcntl
import hashlib
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / ".venv" / f"wheels-{sys.version_info[0]}.{sys.version_info[1]}"
DOWNLOAD_S = 900.0


class DownloadError(Exception):
    """pip could not download the wheels; the text is its last line."""


def requirements() -> list[str]:
    """Return what dfud[broker] needs, and what builds it."""
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg", encoding="utf-8")
    needed = [
        config["options"]["install_requires"],
        config["options.extras_require"]["broker"],
        "setuptools >= 64",
    ]
    return [line.strip() for text in needed for line in text.splitlines() if line.strip()]


def wheels(seconds: float = DOWNLOAD_S) -> Path:
    """Return the folder with the wheels; fill it if necessary. Raises DownloadError."""
    needed = requirements()
    stamp = FOLDER / "made-for"
    state = hashlib.sha256("\n".join(needed).encode()).hexdigest()
    FOLDER.mkdir(parents=True, exist_ok=True)
    with (FOLDER / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test runs fill one folder
        if not stamp.exists() or stamp.read_text() != state:
            pip = [
                sys.executable,
                "-m",
                "pip",
                "--disable-pip-version-check",
                "--quiet",
                "wheel",
                "-w",
                str(FOLDER),
            ]
            try:
                subprocess.run(
                    [*pip, *needed],
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                    timeout=seconds,
                    check=True,
                )
            except subprocess.TimeoutExpired:
                raise DownloadError(f"pip took more than {seconds:.0f} s") from None
            except subprocess.CalledProcessError as error:
                raise DownloadError((error.stdout.strip().splitlines() or ["no reason given"])[-1]) from None
            stamp.write_text(state)
    return FOLDER


if __name__ == "__main__":
    try:
        print(f"The wheels are in {wheels()}.")
    except DownloadError as error:
        sys.exit(f"The wheels cannot be downloaded, so the tests that need them are skipped: {error}")
