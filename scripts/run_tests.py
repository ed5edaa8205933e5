"""Make the virtual environments, then lint, check types and test: ``scripts/test`` starts this.

Of the pythons found, the newest runs everything; the oldest all tests but the faults, which take minutes and
are the same on every Python. Needs nothing but Python.
"""

from __future__ import annotations

import sys

from environments import environment, find_pythons, run


def main(pytest_arguments: list[str]) -> int:
    """Run it all, the rest too when something fails; return the exit status."""
    pythons = find_pythons()
    named = " and ".join(f"{major}.{minor}" for (major, minor), _ in pythons)
    print(f"Python {named}, of {', '.join(python for _, python in pythons)}", flush=True)
    made = [
        (version, environment(f"{version[0]}.{version[1]}", version, python, "dev")) for version, python in pythons
    ]
    newest = made[-1][1]

    results = {
        "format": run(newest / "ruff", "format", "--check", "."),
        "lint": run(newest / "ruff", "check", "."),
        "types": run(newest / "mypy"),
    }
    # Here, so that a slow network is not within the time that a test may take.
    fetch = "from dfud.broker import jars; jars.resolve(*jars.KAFKA, announce=print)"
    results["the broker's jars"] = run(newest / "python", "-c", fetch)
    run(newest / "python", "tests/helpers/openmsistream_peer.py")  # without it, the tests that need it are skipped
    for (major, minor), folder in reversed(made):
        less = [] if folder == newest else ["--ignore=tests/faults"]
        results[f"tests on {major}.{minor}"] = run(folder / "python", "-m", "pytest", *less, *pytest_arguments)

    print()
    for name, passed in results.items():
        print(f"{'passed' if passed else 'FAILED'}  {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
