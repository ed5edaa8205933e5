"""Run dfud as a user who owns nothing and may do nothing that others may not.

The Python of the tests and its packages may lie where only their owner may look, such as in a home folder, so what
is not accessible to everyone is copied to where it is. Nothing is installed: what the copy needs is found
through the environment variables of Python and of the loader.
"""

from __future__ import annotations

import os
import re
import shutil
import stat
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

import dfud
from tests.helpers.unavailable import UnavailableError

NOBODY = 65534  # of Debian, Fedora and others; nothing belongs to it
_PRUNED = ("test", "idlelib", "tkinter", "ensurepip", "site-packages", "config-*", "turtledemo", "lib2to3")


class OtherUser(NamedTuple):
    """A user without privileges."""

    uid: int
    python: Path  # may be run by this user
    environment: tuple[str, ...]  # ``NAME=value``

    @property
    def prefix(self) -> list[str]:
        """The words that make a command run as this user."""
        user = f"--reuid={self.uid}", f"--regid={self.uid}", "--clear-groups"
        return ["setpriv", *user, "env", *self.environment]

    def command(self, words: list[str]) -> list[str]:
        """Return the command line, of the Python of the tests, as this user has to run it."""
        assert words[0] == sys.executable
        return [*self.prefix, str(self.python), *words[1:]]


@contextmanager
def open_folder() -> Iterator[Path]:
    """Make a folder that everyone may enter, and remove it with all that is in it."""
    with tempfile.TemporaryDirectory(prefix="dfud-open-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        if not _is_open(folder):
            raise UnavailableError(f"{folder.parent} is not open to other users; set TMPDIR to a folder that is")
        yield folder


@contextmanager
def other_user(uid: int = NOBODY) -> Iterator[OtherUser]:
    """Provide for a user who can run dfud and its dependencies. Raises UnavailableError."""
    if os.geteuid() != 0:
        raise UnavailableError("running as another user needs root")
    if shutil.which("setpriv") is None:
        raise UnavailableError("there is no setpriv (of util-linux)")
    with open_folder() as folder:
        user = OtherUser(uid, *_provide_python(folder))
        check = [sys.executable, "-c", "import dfud.commands.upload"]
        done = subprocess.run(user.command(check), cwd="/", stderr=subprocess.PIPE, encoding="utf-8", check=False)
        if done.returncode:
            raise UnavailableError(f"user {uid} cannot run dfud: {done.stderr.strip().splitlines()[-1]}")
        yield user


def _provide_python(folder: Path) -> tuple[Path, tuple[str, ...]]:
    """Return a Python that everyone may run and its environment variables; copy what is missing to `folder`."""
    packages = folder / "packages"
    packages.mkdir()
    _copy_packages(packages)
    variables = [f"PYTHONPATH={packages}", "PYTHONDONTWRITEBYTECODE=1", "HOME=/"]
    prefix, executable = Path(sys.base_prefix), Path(os.path.realpath(sys.executable))
    standard = Path(sysconfig.get_paths()["stdlib"])
    if _is_open(executable) and _is_open(standard):
        return executable, tuple(variables)
    copy = folder / "python"
    library = copy / standard.relative_to(prefix)
    shutil.copytree(standard, library, ignore=shutil.ignore_patterns(*_PRUNED), symlinks=True)
    (copy / "bin").mkdir()
    shutil.copy2(executable, copy / "bin" / executable.name)
    for shared in (prefix / "lib").glob("libpython*"):
        shutil.copy2(shared, library.parent / shared.name)
    return copy / "bin" / executable.name, (*variables, f"PYTHONHOME={copy}", f"LD_LIBRARY_PATH={library.parent}")


def _copy_packages(target: Path) -> None:
    """Copy dfud, as it is in this checkout, and what it needs to run."""
    shutil.copytree(Path(dfud.__file__).parent, target / "dfud")
    wanted, copied = ["dfud"], {"dfud"}
    while wanted:
        for requirement in metadata.requires(wanted.pop()) or []:
            name = re.split(r"[^\w.-]", requirement, maxsplit=1)[0]
            if ";" not in requirement and name not in copied:
                copied.add(name)
                wanted.append(name)
                _copy_distribution(name, target)


def _copy_distribution(name: str, target: Path) -> None:
    """Copy the files of an installed package that lie below its folder."""
    for file in metadata.files(name) or []:
        source = Path(os.fspath(file.locate()))
        if ".." not in file.parts and source.is_file():
            (target / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / file)


def _is_open(path: Path) -> bool:
    """Return whether everyone may read `path` and enter all folders above it."""
    if not path.stat().st_mode & stat.S_IROTH:
        return False
    return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.absolute().parents)
