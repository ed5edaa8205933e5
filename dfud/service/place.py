"""Where systemd looks for units and their environment files, and systemctl, for the system or for a user."""

from __future__ import annotations

import os
import subprocess
from typing import NamedTuple

from dfud.errors import DfudError, UsageError
from dfud.service.unit import UNIT

_DONE = ("Created symlink ", "Removed ")  # what systemctl says of what it has done, before it says what failed
_BOOTED = "/run/systemd/system"  # sd_booted(3)
_SUFFIX = ".env"


class Place(NamedTuple):
    """The folders of one service manager."""

    scope: str  # "system" or "user"
    units: str
    environments: str
    is_live: bool = True  # not an image, for which nothing can be started
    packages: str = ""  # where the units are that the machine's packages bring along

    @property
    def unit(self) -> str:
        """The path of the unit for all instances."""
        return os.path.join(self.units, UNIT)

    def packaged_unit(self, text: str) -> str | None:
        """Return the path of the unit that a package has installed, if it has `text` and no other one hides it."""
        path = os.path.join(self.packages, UNIT)
        if not self.packages or os.path.lexists(self.unit):
            return None
        try:
            with open(path, encoding="utf-8") as file:
                return path if file.read().endswith(text) else None
        except (OSError, ValueError):
            return None

    def environment(self, name: str) -> str:
        """Return the path of the environment file of an instance."""
        return os.path.join(self.environments, name + _SUFFIX)

    def common_environment(self) -> str:
        """Return the path of the file with variables for all instances, which is the administrator's."""
        return os.path.join(self.environments, "environment")

    def drop_in(self, name: str) -> str:
        """Return the path of what the unit of an instance has beyond the common one."""
        return os.path.join(self.units, f"dfud@{name}.service.d", "50-dfud.conf")

    def instances(self) -> list[str]:
        """List the instances."""
        try:
            names = os.listdir(self.environments)
        except FileNotFoundError:
            return []
        except OSError as error:
            raise UsageError(f"cannot list {self.environments}: {error.strerror}") from None
        return sorted(name[: -len(_SUFFIX)] for name in names if name.endswith(_SUFFIX) and name != _SUFFIX)

    def journalctl(self, unit: str) -> str:
        """Return the command that shows the last lines of a unit."""
        return f"journalctl {'--user ' if self.scope == 'user' else ''}-u {unit} -n 20"

    def systemctl(self, *arguments: str) -> list[str]:
        """Return a command."""
        return ["systemctl", *(["--user"] if self.scope == "user" else []), *arguments]


def find_place(scope: str | None, root: str | None = None, is_dry: bool = False) -> Place:
    """Return the place that the user means: on this machine, or for an image below `root`.

    Raises UsageError if nothing can be written or started there, unless it `is_dry`: nothing will be.
    """
    if scope is None:
        raise UsageError("say --system (for all, as root) or --user (for you alone)")
    top = os.path.abspath(root) if root is not None else ""
    if scope == "system":
        if not top and not is_dry and os.geteuid() != 0:
            raise UsageError("--system changes files below /etc: start this as root, or use --user")
        packages = f"{top}/usr/lib/systemd/system"
        found = Place(scope, f"{top}/etc/systemd/system", f"{top}/etc/dfud", not top, packages)
    else:
        home = os.environ.get("XDG_CONFIG_HOME", "")
        config = top + (home if home.startswith("/") else os.path.expanduser("~/.config"))
        found = Place(scope, f"{config}/systemd/user", f"{config}/dfud", not top)
    if found.is_live and not is_dry and not os.path.isdir(_BOOTED):
        raise UsageError("systemd does not run here: docs/service.md has the same for cron, --root is for images")
    return found


def call(command: list[str], may_fail: bool = False) -> str:
    """Run systemctl; return its output. Raises DfudError if it cannot be run, or fails and may not."""
    try:
        done = subprocess.run(command, capture_output=True, encoding="utf-8", errors="replace", check=False)
    except OSError as error:
        raise DfudError(f"cannot run {command[0]}: {error.strerror}") from None
    if done.returncode and not may_fail:
        lines = [line for line in done.stderr.splitlines() if not line.startswith(_DONE)]
        raise DfudError(f"{' '.join(command)}: {' '.join(lines) or f'status {done.returncode}'}")
    return done.stdout
