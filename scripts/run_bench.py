"""Make the environments of the benchmarks, then run them: ``scripts/bench`` starts this. Needs nothing but Python."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import run_tests

OPENMSISTREAM = "openmsistream==1.8.8"
_PEERS = run_tests.VENVS / "openmsistream"


def peer_environment(python: str) -> None:
    """Make OpenMSIStream's environment, or say why there is none: the benchmarks then leave it out."""
    stamp = _PEERS / "made-from"
    if stamp.exists() and stamp.read_text() == OPENMSISTREAM:
        return
    pip = (_PEERS / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    if run_tests.run(python, "-m", "venv", "--clear", _PEERS) and run_tests.run(*pip, "install", OPENMSISTREAM):
        stamp.write_text(OPENMSISTREAM)
    else:
        print("scripts/bench: no OpenMSIStream to compare with; see pip's message above", file=sys.stderr)


def main(arguments: list[str]) -> None:
    """Run the benchmarks on the newest Python here; this process becomes them."""
    pythons = run_tests.find_pythons()
    if not pythons:
        sys.exit("scripts/bench: found no Python 3.9 or newer; name one in DFUD_PYTHONS")
    version, python = pythons[-1]
    folder = run_tests.environment(version, python)
    peer_environment(python)
    os.environ["DFUD_BENCH_OPENMSISTREAM"] = str(_PEERS)
    os.environ["PYTHONPATH"] = str(run_tests.ROOT)
    program = str(folder / "python")
    os.execv(program, [program, "-m", "benchmarks", *arguments])


if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parent))
    main(sys.argv[1:])
