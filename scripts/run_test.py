"""Make the environments for development, then start nox in the newest one; started by ``scripts/test``.

Needs nothing but Python. ``noxfile.py`` lists what nox runs.
"""

from __future__ import annotations

import json
import sys

from environments import VENVS, dev_environment, find_pythons, name_of, run

_REPORT = VENVS / "nox.json"
_VERDICTS = {"success": "passed", "skipped": "skipped"}


def main(pytest_arguments: list[str]) -> int:
    """Run all default sessions, also after one has failed; return the exit status."""
    pythons = find_pythons()
    names = " and ".join(name_of(version) for version, _ in pythons)
    print(f"Python {names}, of {', '.join(python for _, python in pythons)}", flush=True)
    environments = [dev_environment(version, python) for version, python in pythons]

    _REPORT.unlink(missing_ok=True)
    passed = run(environments[-1] / "nox", "--report", _REPORT, "--", *pytest_arguments)
    if _REPORT.exists():
        print()
        for session in json.loads(_REPORT.read_text(encoding="utf-8"))["sessions"]:
            name = session["signatures"][-1].replace("(", " on ").rstrip(")")
            print(f"{_VERDICTS.get(session['result'], 'FAILED')}  {name}")
    return 0 if passed else 1


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
