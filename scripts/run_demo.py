"""Make the environment of the demonstration, then run it; started by ``scripts/demo``."""

from __future__ import annotations

import subprocess
import sys

from environments import ROOT, environment, find_pythons


def main(arguments: list[str]) -> int:
    """Run ``dfud demo`` on the newest Python; return its exit status."""
    version, python = find_pythons()[-1]
    folder = environment("demo", version, python, "broker")
    return subprocess.run([str(folder / "dfud"), "demo", *arguments], cwd=ROOT, check=False).returncode


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
