"""Make the virtual environments, then lint, check types and test: ``scripts/test`` starts this.

Of the pythons found, the newest runs everything; the oldest runs the tests. Needs nothing but Python.
"""

from __future__ import annotations

import hashlib
import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VENVS = ROOT / ".venv"

OLDEST = (3, 9)
MINORS = range(OLDEST[1], 30)

# What an environment is made of: when one of these changes, it is made anew.
SOURCES = ("setup.cfg", "setup.py", "pyproject.toml")

Version = tuple[int, int]


def version_of(python: str) -> Version | None:
    """Return a CPython's version, or None if it does not run (a shim without its Python) or is another."""
    program = "import sys; print(sys.implementation.name, *sys.version_info[:2])"
    try:
        done = subprocess.run(
            [python, "-I", "-c", program], capture_output=True, encoding="utf-8", timeout=30, check=True
        )
        name, major, minor = done.stdout.split()
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
    return (int(major), int(minor)) if name == "cpython" else None


def candidates() -> list[str]:
    """Return the names and paths at which a Python may be, the preferred first."""
    names = [f"python3.{minor}" for minor in MINORS]
    pyenv = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return [
        *names,
        *sorted(map(str, pyenv.glob("3.*/bin/python3"))),
        *(f"/usr/bin/{name}" for name in names),
        sys.executable,
    ]


def find_pythons() -> list[tuple[Version, str]]:
    """Return the oldest and the newest supported Python, or those of DFUD_PYTHONS, with their versions."""
    wanted = os.environ.get("DFUD_PYTHONS", "").split()
    found: dict[Version, str] = {}
    for python in wanted or candidates():
        version = version_of(python) if shutil.which(python) else None
        if version is not None and version >= OLDEST:
            found.setdefault(version, python)
        elif wanted:
            sys.exit(f"scripts/test: {python} of DFUD_PYTHONS is no Python {OLDEST[0]}.{OLDEST[1]} or newer")
    if wanted:
        return list(found.items())
    ordered = sorted(found.items())
    return ordered[:1] + ordered[1:][-1:]


def run(*command: str | Path) -> bool:
    """Run a command in the checkout, shown first; tell whether it succeeded."""
    words = [str(word) for word in command]
    shown = shlex.join(word.replace(f"{ROOT}{os.sep}", "") for word in words)
    print(f"\n$ {shown}", flush=True)
    return subprocess.run(words, cwd=ROOT, check=False).returncode == 0


def environment(version: Version, python: str) -> Path:
    """Return the bin folder of the version's virtual environment, made if need be."""
    folder = VENVS / f"{version[0]}.{version[1]}"
    stamp = folder / "made-from"
    state = hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in SOURCES)).hexdigest()
    if stamp.exists() and stamp.read_text() == state and version_of(str(folder / "bin" / "python")) == version:
        return folder / "bin"
    if not run(python, "-m", "venv", "--clear", folder):
        sys.exit(
            f"scripts/test: {python} cannot make a virtual environment; on Debian and Ubuntu, "
            f"apt install python{version[0]}.{version[1]}-venv, or name other Pythons in DFUD_PYTHONS"
        )
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    if not run(*pip, "install", "--editable", ".[dev]"):
        sys.exit("scripts/test: the dependencies could not be installed; see pip's message above")
    stamp.write_text(state)
    return folder / "bin"


def main(pytest_arguments: list[str]) -> int:
    """Run it all, the rest too when something fails; return the exit status."""
    pythons = find_pythons()
    if not pythons:
        sys.exit(f"scripts/test: found no Python {OLDEST[0]}.{OLDEST[1]} or newer; name one in DFUD_PYTHONS")
    named = " and ".join(f"{major}.{minor}" for (major, minor), _ in pythons)
    print(f"Python {named}, of {', '.join(python for _, python in pythons)}", flush=True)
    made = [(version, environment(version, python)) for version, python in pythons]
    newest = made[-1][1]

    results = {
        "format": run(newest / "ruff", "format", "--check", "."),
        "lint": run(newest / "ruff", "check", "."),
        "types": run(newest / "mypy", "--strict", "dfud"),
    }
    # Here, so that a slow network is not within the time that a test may take.
    fetch = "from dfud.broker import jars; jars.resolve(*jars.KAFKA, announce=print)"
    results["the broker's jars"] = run(newest / "python", "-c", fetch)
    for (major, minor), folder in reversed(made):
        results[f"tests on {major}.{minor}"] = run(folder / "python", "-m", "pytest", *pytest_arguments)

    print()
    for name, passed in results.items():
        print(f"{'passed' if passed else 'FAILED'}  {name}")
    return 0 if all(results.values()) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
