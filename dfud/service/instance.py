"""One upload that runs as a service: its name, what is uploaded, and what its sandbox must open for that."""

from __future__ import annotations

import os
import re
from typing import NamedTuple

from dfud.errors import UsageError
from dfud.service.program import HOMES, TEMPORARY, is_below

_READ_ONLY = ("/usr", "/boot", "/efi", "/etc")  # by ProtectSystem=
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")  # means itself in the name of a unit


class Instance(NamedTuple):
    """What is uploaded, by absolute paths."""

    name: str
    directory: str
    config: str
    topic: str
    options: tuple[str, ...]  # further ones of the upload
    written: tuple[str, ...] = ()  # what is written besides LOGS, or instead of it
    mount: str = ""  # what has to be mounted for the directory to be there, if anything

    def drop_in(self, user: str) -> str:
        """Return what the unit of this instance has beyond the common one, if it runs as `user` in the sandbox.

        Raises UsageError if it has to write where the sandbox forbids it.
        """
        written = [os.path.realpath(path) for path in self.written or (self.directory,)]
        for path in written:
            if is_below(path, _READ_ONLY):
                raise UsageError(f"a service may not write into {path}: see --state_dir and --logger_file_path")
        paths = [*written, os.path.realpath(self.directory), os.path.realpath(self.config)]
        lines = ["[Service]", f"User={user}"]
        if user == "root":  # which is nobody special without capabilities
            lines.append("CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_LEASE")
        if any(is_below(path, HOMES) for path in paths):
            lines.append("ProtectHome=no")
        if any(is_below(path, TEMPORARY) for path in paths):
            lines.append("PrivateTmp=no")
        return "\n".join(lines) + "\n"


def check_name(name: str) -> str:
    """Return the name of an instance; UsageError if it cannot be one."""
    if not _NAME.fullmatch(name):
        raise UsageError(f"{name!r} is no name for an instance: use letters, digits, '_', '-' and '.'")
    return name
