"""Make the environments of the benchmarks, then run them; started by ``scripts/bench``."""

from __future__ import annotations

import os
import sys

from environments import ROOT, VENVS, dev_environment, find_pythons, run

OPENMSISTREAM = "openmsistream==1.8.8"
_PEERS = VENVS / "openmsistream"


def peer_environment(python: str) -> None:
    """Make the environment of OpenMSIStream; if that fails, say so, and the benchmarks leave it out."""
    stamp = _PEERS / "made-from"
    if stamp.exists() and stamp.read_text() == OPENMSISTREAM:
        return
    pip = (_PEERS / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    if run(python, "-m", "venv", "--clear", _PEERS) and run(*pip, "install", OPENMSISTREAM):
        stamp.write_text(OPENMSISTREAM)
    else:
        print(
            "scripts/bench: cannot install OpenMSIStream, which is left out; see pip's message above",
            file=sys.stderr,
        )


def main(arguments: list[str]) -> None:
    """Replace this process with the benchmarks, on the newest Python here."""
    version, python = find_pythons()[-1]
    folder = dev_environment(version, python)
    peer_environment(python)
    os.environ["DFUD_BENCH_OPENMSISTREAM"] = str(_PEERS)
    os.environ["PYTHONPATH"] = str(ROOT)
    program = str(folder / "python")
    os.execv(program, [program, "-m", "benchmarks", *arguments])


if __name__ == "__main__":
    main(sys.argv[1:])
