"""The process that answers Prometheus: whatever clients do, the supervisor neither waits nor works for them."""

from __future__ import annotations

import contextlib
import os
import socket

import msgspec

from dfud.logs.upload_status import UploadStatus
from dfud.messages import FromMetricsServer, ToMetricsServer
from dfud.metrics.families import render
from dfud.metrics.http_server import MetricsServer
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker

_NICENESS = 10  # the upload comes first

_decode = msgspec.json.Decoder(UploadStatus).decode


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromMetricsServer, ToMetricsServer],
    listener: socket.socket,
) -> None:
    """Run the metrics server until the supervisor ends."""
    init_worker(name, supervisor_pid)
    with contextlib.suppress(OSError):  # a sandbox may not allow it
        os.nice(_NICENESS)
    page = _Page(to_supervisor)
    server = MetricsServer(listener, page.content)
    server.add_reader(to_supervisor.fileno(), page.receive)
    try:
        page.receive(wait=True)  # who asks before waits, too
        while True:
            server.run_once()
    except PeerGoneError:
        server.close()


class _Page:
    """What the supervisor has said last, rendered when it is asked for."""

    def __init__(self, from_supervisor: Channel[FromMetricsServer, ToMetricsServer]) -> None:
        self._from_supervisor = from_supervisor
        self._status = b""  # JSON
        self._content = b""

    def receive(self, wait: bool = False) -> None:
        """Take what the supervisor says."""
        for message in self._from_supervisor.receive(wait):
            self._status = message.status

    def content(self) -> bytes:
        """Return the page."""
        if self._status:
            self._content, self._status = render(_decode(self._status)), b""
        return self._content
