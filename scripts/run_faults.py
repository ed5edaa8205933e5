"""Make the environment of the faults, then cause them; started by ``scripts/faults``."""

from __future__ import annotations

import os
import sys

from environments import ROOT, dev_environment, find_pythons


def main(arguments: list[str]) -> None:
    """Replace this process with the faults, on the newest Python here."""
    folder = dev_environment(*find_pythons()[-1])
    os.environ["PYTHONPATH"] = str(ROOT)
    program = str(folder / "python")
    os.execv(program, [program, "-m", "tests.faults", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
