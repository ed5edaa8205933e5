"""Find the Pythons of this machine and make virtual environments of them, for the scripts beside and for nox.

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

# An environment is recreated when one of these files changes.
SOURCES = ("setup.cfg", "setup.py", "pyproject.toml")

_DOT_INTERVAL_S = 1.0

Version = tuple[int, int]

_PROGRAM = Path(sys.argv[0]).stem.replace("run_", "scripts/")  # the command that the user typed


def name_of(version: Version) -> str:
    """Return a version as text.

    >>> name_of((3, 13))
    '3.13'
    """
    return f"{version[0]}.{version[1]}"


def version_of(python: str) -> Version | None:
    """Return the version of a CPython, or None for another Python and for a shim that does not run."""
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
    """Return the names and paths at which a Python may be, the preferred ones first."""
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

    Exits with a message if there is none.
    """
    ordered = all_pythons()
    return ordered if os.environ.get("DFUD_PYTHONS", "").split() else ordered[:1] + ordered[1:][-1:]


def all_pythons() -> list[tuple[Version, str]]:
    """Return all supported Pythons of this machine, the oldest first, or those of DFUD_PYTHONS.

    Exits with a message if there is none.
    """
    requested = os.environ.get("DFUD_PYTHONS", "").split()
    pythons: dict[Version, str] = {}
    for python in requested or candidates():
        version = version_of(python) if shutil.which(python) else None
        if version is not None and version >= OLDEST:
            pythons.setdefault(version, python)
        elif requested:
            sys.exit(f"{_PROGRAM}: {python} of DFUD_PYTHONS is not a CPython {name_of(OLDEST)} or newer")
    if requested:
        return list(pythons.items())
    if not pythons:
        sys.exit(f"{_PROGRAM}: no Python {name_of(OLDEST)} or newer found; name one in DFUD_PYTHONS")
    return sorted(pythons.items())


def run(*command: str | Path, patience: str = "") -> bool:
    """Show a command, run it in the checkout, and return whether it succeeded.

    If there is a `patience`, which says how long it takes, dots show a terminal that it lasts.
    """
    words = [str(word) for word in command]
    shown = shlex.join(word.replace(f"{ROOT}{os.sep}", "") for word in words)
    print(f"\n$ {shown}", *filter(None, [patience]), sep="\n", flush=True)
    with subprocess.Popen(words, cwd=ROOT) as process:
        dots = ""
        while True:
            try:
                status = process.wait(_DOT_INTERVAL_S if patience and sys.stdout.isatty() else None)
                break
            except subprocess.TimeoutExpired:
                dots += "."
                print(".", end="", flush=True)
    if dots:
        print(flush=True)
    return status == 0


def dev_environment(version: Version, python: str) -> Path:
    """Return the ``bin`` folder of a Python's environment for development, made if it does not exist."""
    return environment(name_of(version), version, python, "dev")


def environment(name: str, version: Version, python: str, extra: str) -> Path:
    """Return the ``bin`` folder of the virtual environment `name`, made if it does not exist.

    The checkout is installed in it, editable, with one of its extras. Exits with a message if that fails.
    """
    folder = VENVS / name
    stamp = folder / "made-from"
    state = hashlib.sha256(b"\0".join((ROOT / name).read_bytes() for name in SOURCES)).hexdigest()
    if stamp.exists() and stamp.read_text() == state and version_of(str(folder / "bin" / "python")) == version:
        return folder / "bin"
    if not run(python, "-m", "venv", "--clear", folder, patience="(this takes some seconds)"):
        sys.exit(
            f"{_PROGRAM}: {python} cannot make a virtual environment; on Debian and Ubuntu, "
            f"apt install python{name_of(version)}-venv, or name other Pythons in DFUD_PYTHONS"
        )
    pip = (folder / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "--quiet")
    patience = "(the first time, this downloads about 50 MB and takes up to a minute)"
    if not run(*pip, "install", "--editable", f".[{extra}]", patience=patience):
        sys.exit(f"{_PROGRAM}: cannot install the dependencies; see pip's message above")
    stamp.write_text(state)
    return folder / "bin"
