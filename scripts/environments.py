"""Find the pythons of this machine, and make virtual environments of them, for the scripts beside.

Needs nothing but Python.
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

_SCRIPT = f"scripts/{Path(sys.argv[0]).stem.replace('run_', '')}"  # as whoever started it knows it


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
    """Return the oldest and the newest supported Python, or those of DFUD_PYTHONS, with their versions.

    Ends the program where there is none.
    """
    wanted = os.environ.get("DFUD_PYTHONS", "").split()
    found: dict[Version, str] = {}
    for python in wanted or candidates():
        version = version_of(python) if shutil.which(python) else None
        if version is not None and version >= OLDEST:
            found.setdefault(version, python)
        elif wanted:
            sys.exit(f"{_SCRIPT}: {python} of DFUD_PYTHONS is no Python {OLDEST[0]}.{OLDEST[1]} or newer")
    if wanted:
        return list(found.items())
    if not found:
        sys.exit(f"{_SCRIPT}: found no Python {OLDEST[0]}.{OLDEST[1]} or newer; name one in DFUD_PYTHONS")
    ordered = sorted(found.items())
    return ordered[:1] + ordered[1:][-1:]


def run(*command: str | Path) -> bool:
    """Run a command in the checkout, shown first; tell whether it succeeded."""
    words = [str(word) for word in command]
    shown = shlex.join(word.replace(f"{ROOT}{os.sep}", "") for word in words)
    print(f"\n$ {shown}", flush=True)
    return subprocess.run(words, cwd=ROOT, check=False).returncode == 0


def environment(name: str, version: Version, python: str, extra: str) -> Path:
    """Return the bin folder of the virtual environment `name`, made if need be.

    The checkout is installed in it as it stands (editable), with one of its extras.
    """
    folder = VENVS / name
    stamp = folder / "made-from"
    state = hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in SOURCES)).hexdigest()
    if stamp.exists() and stamp.read_text() == state and version_of(str(folder / "bin" / "python")) == version:
        return folder / "bin"
    if not run(python, "-m", "venv", "--clear", folder):
        sys.exit(
            f"{_SCRIPT}: {python} cannot make a virtual environment; on Debian and Ubuntu, "
            f"apt install python{version[0]}.{version[1]}-venv, or name other Pythons in DFUD_PYTHONS"
        )
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    if not run(*pip, "install", "--editable", f".[{extra}]"):
        sys.exit(f"{_SCRIPT}: the dependencies could not be installed; see pip's message above")
    stamp.write_text(state)
    return folder / "bin"
