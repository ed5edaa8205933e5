"""Run a real Kafka node (KRaft, combined mode) on 127.0.0.1, as a child of this process.

Without a `Quorum` it is a cluster of one node, with one it is a node of several.
"""

from __future__ import annotations

import base64
import logging
import os
import shutil
import subprocess
import time
import uuid
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Callable, TypeVar

from dfud.broker import jars, java, ports, settings
from dfud.broker.data_folder import DataFolder
from dfud.broker.jvm import Jvm
from dfud.broker.readiness import is_ready
from dfud.broker.settings import Ports, Quorum
from dfud.errors import BrokerError, UsageError

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 30.0

_POLL_S = 0.05
_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class KafkaNode:
    """A Kafka broker and the folder with its data.

    The kernel kills the broker when the thread that started it ends. `properties` are Kafka's and take precedence
    over ours. A `port` of None or 0 is the port of the last start in this folder, or a free one at the first.
    The first start takes `preferred_port` if that is free.
    `advertised_port` is where clients are sent to instead, for a proxy in front of the node.
    """

    def __init__(
        self,
        data_dir: os.PathLike[str] | str,
        port: int | None = None,
        heap_mb: int = 512,
        properties: Mapping[str, str] | None = None,
        announce: Callable[[str], None] = lambda _: None,
        quorum: Quorum | None = None,
        advertised_port: int | None = None,
        preferred_port: int | None = None,
    ) -> None:
        self.folder = DataFolder(Path(data_dir))
        self.heap_mb = heap_mb
        self._wanted_port = port or None
        self._properties = dict(properties or {})
        self._announce = announce
        self._quorum = quorum
        self._advertised_port = advertised_port
        self._preferred_port = preferred_port
        self._port: int | None = None
        self._internal_port: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> KafkaNode:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def bootstrap(self) -> str:
        """The address for ``bootstrap.servers``; the same after a restart."""
        return f"{ports.HOST}:{self._started(self._port)}"

    @property
    def internal_bootstrap(self) -> str:
        """The address of the plain-text listener, for administration; it changes with each start."""
        return f"{ports.HOST}:{self._started(self._internal_port)}"

    @property
    def pid(self) -> int:
        """The process id of the JVM."""
        return self._started(self._process).pid

    @property
    def is_running(self) -> bool:
        """Return whether the JVM is running."""
        return self._process is not None and self._process.poll() is None

    def start(self, timeout: float = START_TIMEOUT_S) -> None:
        """Start the broker and wait until it serves, at most `timeout` seconds.

        Raises UsageError if the folder or the port cannot be used (nothing was started then), and BrokerError.
        """
        self.wait_until_ready(self.launch(timeout))

    def launch(self, timeout: float = START_TIMEOUT_S) -> float:
        """Start the broker without waiting for it: one of several serves only once a majority is running.

        Returns the deadline (monotonic) by which it has to serve, for `wait_until_ready`. Raises as `start` does.
        """
        if self._process is not None:
            raise BrokerError("the broker is already started; stop it first")
        if self._wanted_port is not None:
            self._require_free(self._wanted_port, "")  # before the folder is created
        self.folder.acquire()
        try:
            port = self._choose_port()
            jvm = Jvm(java.find_java(), jars.resolve_kafka(self._announce), self.heap_mb)
            self._announce("Starting Kafka")  # which takes some seconds
            deadline = time.monotonic() + timeout  # a download does not count
            self._launch(jvm, port, deadline)
            return deadline
        except OSError as error:
            self.kill()
            raise BrokerError(f"cannot start the broker in {self.folder.path}: {error}") from error
        except BaseException:
            self.kill()
            raise

    def wait_until_ready(self, deadline: float) -> None:
        """Wait until the launched broker answers; kill it and raise BrokerError if it does not."""
        try:
            self._wait_until_ready(deadline)
        except BaseException:
            self.kill()
            raise

    def stop(self, timeout: float = STOP_TIMEOUT_S) -> None:
        """Stop the broker if it runs: cleanly, or after `timeout` seconds by force."""
        if self._process is not None:
            self._process.terminate()
            try:
                self._process.wait(timeout)
            except subprocess.TimeoutExpired:
                _log.warning("the broker did not stop within %g s: killing it", timeout)
        self.kill()

    def kill(self) -> None:
        """Kill the broker with SIGKILL, as a crash would; `start` starts it again on the same data."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.folder.release()

    def wait(self) -> int:
        """Wait until the broker exits; return its exit status, as subprocess reports it."""
        return self._started(self._process).wait()

    def _choose_port(self) -> int:
        """Return the client port to use, which is free. Raises UsageError."""
        if self._wanted_port is not None:
            return self._wanted_port
        remembered = self._port or self.folder.remembered_port()
        if remembered is None:
            if self._preferred_port is not None and ports.is_free(self._preferred_port):
                return self._preferred_port
            return ports.free_ports(1)[0]
        self._require_free(remembered, ", of the last start in this folder,")
        return remembered

    @staticmethod
    def _require_free(port: int, which: str) -> None:
        """Raise UsageError if the port is in use."""
        if not ports.is_free(port):
            raise UsageError(f"port {port}{which} of {ports.HOST} is in use; choose another with --port")

    def _launch(self, jvm: Jvm, port: int, deadline: float) -> None:
        """Format the data folder if it is new, write the properties, and start the broker."""
        self.folder.rotate_log()
        if not self.folder.is_formatted:
            self._format(jvm, port, deadline)
        file = self._write_properties("server.properties", port, self.folder.data)
        self._process = jvm.spawn(
            self.folder.path,
            self.folder.log,
            ["kafka.Kafka", file.name],
            # The data are in use for as long as the JVM lives, even if it survives us.
            inherit=(self.folder.lock_descriptor,),
        )
        self.folder.remember_port(port)

    def _format(self, jvm: Jvm, port: int, deadline: float) -> None:
        """Format a new folder, then rename it: an interrupted attempt is repeated, never built upon."""
        fresh = self.folder.data.with_name("kafka.new")
        shutil.rmtree(fresh, ignore_errors=True)
        file = self._write_properties("format.properties", port, fresh)
        cluster = self._quorum.cluster_id if self._quorum else cluster_id()
        arguments = ["format", "--config", file.name, "--cluster-id", cluster]
        self._process = jvm.spawn(self.folder.path, self.folder.log, ["kafka.tools.StorageTool", *arguments])
        try:
            status = self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired as error:
            raise BrokerError(self._with_log("the data folder was not formatted in time")) from error
        self._process = None
        if status != 0:
            raise BrokerError(self._with_log("cannot format the data folder"))
        file.unlink()
        fresh.rename(self.folder.data)

    def _write_properties(self, name: str, port: int, data: Path) -> Path:
        """Write a properties file into the folder and return its path; choose the other ports."""
        internal, controller = [free for free in ports.free_ports(3) if free != port][:2]
        if self._quorum:
            controller = self._quorum.controllers[self._quorum.node_id]
        listening = Ports(port, internal, controller, self._advertised_port or port)
        ours = settings.node_properties(ports.HOST, listening, data.name, self.heap_mb, self._quorum)
        path = self.folder.path / name
        path.write_text(settings.render({**ours, **self._properties}), encoding="ascii")
        self._port, self._internal_port = port, internal
        return path

    def _wait_until_ready(self, deadline: float) -> None:
        """Wait until the broker answers and lists itself. Raises BrokerError."""
        process, port = self._started(self._process), self._started(self._internal_port)
        while not is_ready(ports.HOST, port, timeout=1.0):
            status = process.poll()
            if status is not None:
                raise BrokerError(self._with_log(f"the broker exited while starting (status {status})"))
            if time.monotonic() > deadline:
                raise BrokerError(self._with_log("the broker did not become ready in time"))
            time.sleep(_POLL_S)

    def _with_log(self, what: str) -> str:
        """Add the end of the broker's log to a message."""
        return f"{what}; the end of {self.folder.log}:\n{self.folder.log_tail()}"

    @staticmethod
    def _started(value: _T | None) -> _T:
        """Return a value that only a started broker has. Raises BrokerError."""
        if value is None:
            raise BrokerError("the broker was not started")
        return value


def cluster_id() -> str:
    """Return a new Kafka cluster id: a random UUID in URL-safe base 64, 22 characters."""
    while True:
        text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
        if not text.startswith("-"):  # the formatting tool would take it for an option
            return text
