"""Make the environment that can import dfud, and write the man pages with it; started by ``scripts/man``."""

from __future__ import annotations

import subprocess
import sys

from environments import ROOT, environment, find_pythons


def main(arguments: list[str]) -> int:
    """Write the pages on the newest Python; return the exit status."""
    version, python = find_pythons()[-1]
    folder = environment("demo", version, python, "broker")
    words = [str(folder / "python"), str(ROOT / "scripts" / "man_pages.py"), *arguments]
    return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
