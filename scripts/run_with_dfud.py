"""Make the environment that can import dfud, and run a script with it; started by ``scripts/man`` and its like."""

from __future__ import annotations

import subprocess
import sys

from environments import ROOT, environment, find_pythons


def main(script: str, arguments: list[str]) -> int:
    """Run a script of this folder on the newest Python; return the exit status."""
    version, python = find_pythons()[-1]
    folder = environment("demo", version, python, "broker")
    words = [str(folder / "python"), str(ROOT / "scripts" / script), *arguments]
    return subprocess.run(words, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1], sys.argv[2:]))
    except KeyboardInterrupt:
        sys.exit(130)
