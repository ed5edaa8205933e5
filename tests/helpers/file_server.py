"""Samba on the loopback, which shares one folder, and smbclient, which writes to it."""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

from dfud.broker.ports import HOST, free_ports
from tests.helpers.smb import SmbClient
from tests.helpers.unavailable import UnavailableError

SHARE = "data"
_START_S = 30.0
_PROGRAMS = ("smbd", "smbclient")
_FOLDERS = ("lock directory", "state directory", "cache directory", "private dir", "pid directory", "ncalrpc dir")


class FileServer:
    """Responsible for an smbd with files, ports and processes of its own, which end with the block.

    Nobody has to log on. Who writes is the user who runs the tests, or nobody if that is root.
    """

    def __init__(self, shared: Path, folder: Path, **settings: str) -> None:
        """Share a folder with these settings of smb.conf(5), with ``_`` for a space; keep the rest in `folder`.

        Raises UnavailableError.
        """
        missing = [name for name in _PROGRAMS if _find(name) is None]
        if missing:
            raise UnavailableError(f"there is no {' and no '.join(missing)} (of Samba)")
        self._folder = folder
        folder.mkdir()
        (self.port,) = free_ports(1)
        user = "nobody" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
        (folder / "state").mkdir()
        lines = {
            **dict.fromkeys(_FOLDERS, folder / "state"),
            "log file": folder / "log",
            "server role": "standalone server",
            "map to guest": "Bad User",
            "guest account": user,
            "interfaces": HOST,
            "bind interfaces only": "yes",
            "smb ports": self.port,
            "disable netbios": "yes",
            "load printers": "no",
            "disable spoolss": "yes",
            **{name.replace("_", " "): value for name, value in settings.items()},
        }
        share = {"path": shared, "guest ok": "yes", "guest only": "yes", "read only": "no"}
        self._config = folder / "smb.conf"
        self._config.write_text(f"[global]\n{_ini(lines)}[{SHARE}]\n{_ini(share)}", encoding="utf-8")

    def __enter__(self) -> FileServer:
        with (self._folder / "output").open("wb") as output:
            # Its own session: at its end it sends SIGTERM to its process group.
            self._server = subprocess.Popen(
                [str(_find("smbd")), "-F", "--no-process-group", "--debug-stdout", "-s", str(self._config)],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
            )  # fmt: skip
        deadline = time.monotonic() + _START_S
        while not self._answers():
            if self._server.poll() is not None or time.monotonic() > deadline:
                self._stop()
                text = (self._folder / "output").read_text(errors="replace").strip()
                raise UnavailableError(f"smbd does not start: {text.splitlines()[-1] if text else 'no output'}")
            time.sleep(0.05)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    def _stop(self) -> None:
        self._server.terminate()
        self._server.wait()

    def _answers(self) -> bool:
        with socket.socket() as client:
            return client.connect_ex((HOST, self.port)) == 0

    def run(self, commands: Sequence[str], folder: Path) -> str:
        """Let smbclient run its commands, whose local files are in `folder`; return what failed of them."""
        where = f"//{HOST}/{SHARE}", "--port", str(self.port), "--configfile", str(self._config)
        words = ["smbclient", *where, "--no-pass", "--timeout=120"]
        script = "".join(f"{command}\n" for command in [f'lcd "{folder}"', *commands, "exit"])
        done = subprocess.run(
            words, input=script, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, encoding="utf-8",
            errors="replace", check=False,
        )  # fmt: skip
        failed = [line for line in done.stdout.splitlines() if "NT_STATUS" in line or "ERR" in line]
        if done.returncode and not failed:
            failed = [f"smbclient exited with {done.returncode}: {done.stdout.strip()}"]
        return "\n".join(failed)

    def client(self) -> SmbClient:
        """Connect a client that caches."""
        return SmbClient(HOST, self.port, SHARE)


def _find(program: str) -> str | None:
    """Return the path of a program; an administrator's may not be in the PATH of others."""
    return shutil.which(program) or shutil.which(program, path="/usr/sbin:/usr/local/sbin:/usr/local/samba/sbin")


def _ini(settings: dict[str, object]) -> str:
    return "".join(f"{name} = {value}\n" for name, value in settings.items())
