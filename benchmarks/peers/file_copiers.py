"""Programs that copy files to a server of their own on this machine: no topic, no chunks, no headers."""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

from benchmarks.command import Command, CommandFailedError
from benchmarks.comparison import UNLIMITED_ROUNDS, Trial
from benchmarks.datasets import Dataset
from benchmarks.testbed import Measurement, Testbed
from dfud.broker.ports import HOST, free_ports

_START_TIMEOUT_S = 30.0
_POLL_INTERVAL_S = 0.05


class FileCopier(NamedTuple):
    """A program that is its own server, too."""

    name: str
    program: str  # and Debian's package
    serve: Callable[[int, Path, Path], Sequence[str]]  # on a port, into a target; with a file for its settings
    copy: Callable[[int, Path], Sequence[str]]  # a folder, to the server on that port

    def trial(self, testbed: Testbed, data: Dataset, max_rounds: int = UNLIMITED_ROUNDS) -> Trial:
        """Return the copying of `data` as a trial."""
        missing = (
            ""
            if shutil.which(self.program)
            else f"there is no {self.program} (Debian: apt install {self.program})"
        )
        run = partial(self._run, testbed, data)
        return Trial(self.name, run, data.files, data.bytes, missing, max_rounds)

    def _run(self, testbed: Testbed, data: Dataset) -> Measurement:
        """Copy into an empty folder; CommandFailedError unless all files are there afterwards."""
        folder, target = testbed.folder(data), testbed.work / "copied"
        shutil.rmtree(target, ignore_errors=True)
        target.mkdir()
        try:
            with self._serving(testbed.work, target) as port:
                measured = testbed.measure(Command(self.copy(port, folder)))
            n_copied = sum(len(names) for _, _, names in os.walk(target))
            if n_copied != data.files:
                raise CommandFailedError(f"{n_copied} files were copied instead of {data.files}")
            return measured
        finally:
            shutil.rmtree(target, ignore_errors=True)

    @contextlib.contextmanager
    def _serving(self, work: Path, target: Path) -> Iterator[int]:
        """Run the server inside a `with` block, and yield its port."""
        (port,) = free_ports(1)
        argv = list(self.serve(port, target, work / f"{self.program}.settings"))
        with (work / "server.log").open("wb") as log:
            server = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT)
        try:
            _wait_until_serving(server, port)
            yield port
        finally:
            server.terminate()
            server.wait()


def _wait_until_serving(server: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + _START_TIMEOUT_S
    while True:
        with contextlib.suppress(ConnectionRefusedError), socket.create_connection((HOST, port)):
            return
        if server.poll() is not None or time.monotonic() > deadline:
            raise CommandFailedError("the server does not serve; its output is in server.log")
        time.sleep(_POLL_INTERVAL_S)


def _serve_rsync(port: int, target: Path, settings: Path) -> list[str]:
    ours = {"port": port, "address": HOST, "use chroot": "no", "uid": os.getuid(), "gid": os.getgid()}
    module = {"path": target, "read only": "no"}
    lines = [f"{name} = {value}" for name, value in ours.items()]
    lines += ["[files]", *(f"{name} = {value}" for name, value in module.items())]
    settings.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return ["rsync", "--daemon", "--no-detach", f"--config={settings}"]


def _copy_rsync(port: int, folder: Path) -> list[str]:
    return ["rsync", "-a", f"{folder}/", f"rsync://{HOST}:{port}/files/"]


def _serve_rclone(port: int, target: Path, _settings: Path) -> list[str]:
    return ["rclone", "serve", "webdav", str(target), "--addr", f"{HOST}:{port}", "--config", ""]


def _copy_rclone(port: int, folder: Path) -> list[str]:
    return ["rclone", "copy", str(folder), ":webdav:", "--webdav-url", f"http://{HOST}:{port}", "--config", ""]


RSYNC = FileCopier("rsync -a", "rsync", _serve_rsync, _copy_rsync)
RCLONE = FileCopier("rclone copy", "rclone", _serve_rclone, _copy_rclone)
