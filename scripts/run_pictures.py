"""Make the environment that can import dfud, and draw the pictures with it; started by ``scripts/pictures``."""

from __future__ import annotations

import subprocess
import sys

from environments import ROOT, environment, find_pythons


def main(arguments: list[str]) -> int:
    """Draw the pictures on the newest Python; return the exit status."""
    version, python = find_pythons()[-1]
    folder = environment("demo", version, python, "broker")
    words = [str(folder / "python"), str(ROOT / "scripts" / "pictures_of_terminal.py"), *arguments]
    return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
