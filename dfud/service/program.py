"""The program that a unit starts: the dfud that installs it, with its Python."""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

import dfud
from dfud.errors import UsageError
from dfud.processes.own_command import OWN_COMMAND

HOMES = ("/home", "/root", "/run/user")  # hidden by ProtectHome=
TEMPORARY = ("/tmp", "/var/tmp")  # hidden by PrivateTmp=


class Program(NamedTuple):
    """How dfud is started."""

    words: tuple[str, ...]  # its arguments follow
    folders: tuple[str, ...]  # in which all of it is

    def check_reachable(self) -> None:
        """Raise UsageError if a service of the system cannot start it."""
        for folder in self.folders:
            if is_below(folder, (*HOMES, *TEMPORARY)):
                raise UsageError(
                    f"this dfud is in {folder}, where no service of the system can reach it: install it below "
                    "/opt or /usr/local, as with python3 -m venv /opt/dfud, or use --user"
                )


def own_program() -> Program:
    """Return the running dfud: the script beside its Python, or else that Python and what it runs."""
    script = os.path.join(os.path.dirname(sys.executable), "dfud")
    folders = (sys.prefix, sys.base_prefix, os.path.dirname(os.path.abspath(dfud.__file__)))
    words = (script,) if os.access(script, os.X_OK) else OWN_COMMAND
    return Program(words, tuple(dict.fromkeys(map(os.path.realpath, folders))))


def is_below(path: str, tops: tuple[str, ...]) -> bool:
    """Return whether an absolute path without links is one of the folders, or lies in one."""
    return any(os.path.commonpath([path, top]) == top for top in tops)
