"""Make the environment of the faults, then cause them: ``scripts/faults`` starts this."""

from __future__ import annotations

import os
import sys

from environments import ROOT, dev_environment, find_pythons


def main(arguments: list[str]) -> None:
    """Cause the faults on the newest Python here; this process becomes them."""
    folder = dev_environment(*find_pythons()[-1])
    os.environ["PYTHONPATH"] = str(ROOT)
    program = str(folder / "python")
    os.execv(program, [program, "-m", "tests.faults", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
