"""Who is told of a fault, and after how long, while nobody is at the console.

There are four ways: `dfud status --check`, a metric, what systemd learns (a status line, an end, or no more signs
of life), and the canary. Each fault has to be told by the first two, and by one of the others, within a minute.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

import psutil
from confluent_kafka.admin import AclOperation, AdminClient

from dfud.broker.node import KafkaNode
from tests.faults.access import WRITER, fortress_of
from tests.faults.disks import fill_up
from tests.faults.mounting import tmpfs
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.other_clock import OtherClock
from tests.helpers.service_manager import NotifySocket, in_folder
from tests.helpers.topics import create_topic
from tests.helpers.uploading import Upload, command, wait_until

_WITHIN_S = 60.0
_CANARY_S = 10.0
_WATCHDOG_S = 20.0  # the unit has more, so as not to start anew what only waits
_CHECK, _METRIC, _SYSTEMD, _CANARY = "--check", "metric", "systemd", "canary"


class Watched:
    """An upload that is watched in all four ways."""

    def __init__(
        self, scene: Scene, directory: Path, config: Path, topic: str, canaries: str, *options: str
    ) -> None:
        self._directory, self._topic = directory, topic
        self._socket: NotifySocket = in_folder(scene.directory())
        self._metrics = scene.directory() / "dfud.prom"
        self._where = options  # of LOGS
        self._life_at = time.monotonic()  # the last sign of life
        environment = {"NOTIFY_SOCKET": self._socket.address, "WATCHDOG_USEC": str(int(_WATCHDOG_S * 1e6))}
        with mock.patch.dict(os.environ, environment):
            self.upload = Upload(
                command(
                    directory, config, topic, "--canary", _CANARY_S, "--canary_topic_name", canaries,
                    "--metrics_file", self._metrics, *options,
                )
            )  # fmt: skip
        wait_until(lambda: "dfud_canaries_returned_total{" in self._text() and self._canary_is_fine())

    def close(self) -> None:
        self.upload.close()
        self._socket.close()

    def told(self, tally: Tally, check: str, metric: str, systemd: str) -> None:
        """Wait until all ways that are to tell something do; note after how many seconds each did.

        `check`, `metric` and `systemd` are patterns of what is told; an empty one means silence, or the end.
        """
        began = time.monotonic()
        ways: dict[str, Callable[[], bool]] = {
            _CHECK: lambda: bool(re.search(check, self._check())),
            _METRIC: lambda: bool(re.search(metric, self._text(), re.MULTILINE)),
            _SYSTEMD: lambda: self._systemd_says(systemd),
            _CANARY: lambda: not self._canary_is_fine(),
        }
        after: dict[str, float] = {}
        while len(after) < len(ways) and time.monotonic() < began + _WITHIN_S:
            for way, is_told in ways.items():
                if way not in after and is_told():
                    after[way] = time.monotonic() - began
            time.sleep(0.5)  # it is to be seen when each way tells it
        tally.times += 1
        tally.remark = ", ".join(f"{way} {after[way]:.0f} s" for way in ways if way in after)
        for way in (_CHECK, _METRIC):
            tally.require(way in after, f"{way} does not tell it within {_WITHIN_S:.0f} s: {self._check()}")
        tally.require(_SYSTEMD in after or _CANARY in after, "neither systemd nor the canary is told")

    def _check(self) -> str:
        words = ["status", str(self._directory), "--topic_name", self._topic, "--check", *self._where]
        done = subprocess.run(
            [sys.executable, "-m", "dfud", *words, "--space_warning", "0", "--space_critical", "1"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        return "" if done.returncode == 0 else done.stdout

    def _text(self) -> str:
        return self._metrics.read_text() if self._metrics.exists() else ""

    def _canary_is_fine(self) -> bool:
        return bool(re.search(r"^dfud_canary_overdue\{.*\} 0", self._text(), re.MULTILINE))

    def _systemd_says(self, pattern: str) -> bool:
        for line in self._socket.received():
            if line == "WATCHDOG=1":
                self._life_at = time.monotonic()
            elif pattern and line.startswith("STATUS=") and re.search(pattern, line):
                return True
        has_ended = self.upload.process.poll() is not None
        return has_ended or (not pattern and time.monotonic() > self._life_at + _WATCHDOG_S)


@contextmanager
def _watched(scene: Scene, *options: str, directory: Path | None = None) -> Iterator[Watched]:
    directory = directory or scene.directory()
    watched = Watched(scene, directory, scene.config(), scene.topic(), scene.topic(), *options)
    try:
        yield watched
    finally:
        watched.close()


def share_is_unmounted(scene: Scene, tally: Tally, _: int) -> None:
    """Unmount the directory, as a file server's share may be; LOGS is elsewhere."""
    directory, state = scene.directory(), scene.directory()
    with tmpfs(directory, 16), _watched(scene, "--state_dir", str(state), directory=directory) as watched:
        subprocess.run(["umount", "--lazy", str(directory)], check=True)
        watched.told(tally, "not running: ended", r'^dfud_run_state\{.*state="ended".*\} 1', "")
        subprocess.run(["mount", "-t", "tmpfs", "dfud-fault", str(directory)], check=True)


def worker_is_stopped(name: str) -> Callable[[Scene, Tally, int], None]:
    """Return how to stop a worker for good."""

    def cause(scene: Scene, tally: Tally, _: int) -> None:
        with _watched(scene) as watched:
            watched.upload.wait_for_worker(name).send_signal(signal.SIGSTOP)
            watched.told(tally, f"{name} was stopped", r"^dfud_stalled_workers\{.*\} 1", "")

    return cause


def right_is_taken(scene: Scene, tally: Tally, _: int) -> None:
    """Revoke the right to write, while nothing is sent."""
    with fortress_of(scene) as guarded:
        topic, canaries = (create_topic(guarded.node.internal_bootstrap) for _ in range(2))
        for each in (topic, canaries):
            guarded.allow(each, *WRITER)
        watched = Watched(scene, scene.directory(), guarded.config(), topic, canaries)
        try:
            for each in (topic, canaries):
                guarded.forbid(each, AclOperation.WRITE)
            metric = r'^dfud_topic_findings\{.*severity="critical".*\} 1'
            watched.told(tally, "grant the operation Write", metric, "grant the operation Write")
        finally:
            watched.close()


def topic_is_deleted(scene: Scene, tally: Tally, _: int) -> None:
    """Delete the topic, while nothing is sent."""
    topic = scene.topic()
    watched = Watched(scene, scene.directory(), scene.config(), topic, scene.topic())
    try:
        admin = AdminClient({"bootstrap.servers": scene.kafka.internal_bootstrap})
        admin.delete_topics([topic])[topic].result(30)
        what = f"topic {topic}: .*[Uu]nknown topic"
        watched.told(tally, what, r'^dfud_topic_findings\{.*severity="critical".*\} 1', what)
    finally:
        watched.close()


def broker_is_gone(scene: Scene, tally: Tally, _: int) -> None:
    """Kill the broker, while nothing is sent."""
    with KafkaNode(scene.path("kafka"), heap_mb=256) as node:
        topic, canaries = create_topic(node.internal_bootstrap), create_topic(node.internal_bootstrap)
        watched = Watched(scene, scene.directory(), scene.config(node.bootstrap), topic, canaries)
        try:
            psutil.Process(node.pid).kill()
            metric = r'^dfud_broker_state\{.*state="unreachable".*\} 1'
            watched.told(tally, "broker unreachable", metric, "broker unreachable")
        finally:
            watched.close()


def logs_is_full(scene: Scene, tally: Tally, _: int) -> None:
    """Fill the disk of LOGS, while nothing is sent."""
    directory = scene.directory()
    (directory / "LOGS").mkdir()
    with tmpfs(directory / "LOGS", 1), _watched(scene, directory=directory) as watched:
        fill_up(directory / "LOGS" / "ballast")
        watched.told(tally, "left for LOGS|No space left", r"^dfud_logs_free_bytes\{.*\} 0", "No space left")


def clock_is_off(scene: Scene, tally: Tally, _: int) -> None:
    """Set the broker's clock forward by five minutes: to dfud it looks as if its own were behind."""
    clock = OtherClock(scene.directory())
    with clock.use():
        node = KafkaNode(scene.path("kafka"), heap_mb=256)
        node.start()
    try:
        topic, canaries = create_topic(node.internal_bootstrap), create_topic(node.internal_bootstrap)
        watched = Watched(scene, scene.directory(), scene.config(node.bootstrap), topic, canaries)
        try:
            clock.set_ahead(300)
            metric = r'^dfud_topic_findings\{.*severity="warning".*\} 1'
            watched.told(tally, "5 minutes behind", metric, "5 minutes behind")
        finally:
            watched.close()
    finally:
        node.stop()


FAULTS = [
    Fault("told: the share is unmounted", share_is_unmounted, times=1),
    Fault("told: the watcher is stopped", worker_is_stopped("watcher"), times=1),
    Fault("told: a producer is stopped", worker_is_stopped("producer-1"), times=1),
    Fault("told: the right to write is taken away", right_is_taken, times=1),
    Fault("told: the topic is deleted", topic_is_deleted, times=1),
    Fault("told: the broker is gone", broker_is_gone, times=1),
    Fault("told: the disk of LOGS is full", logs_is_full, times=1),
    Fault("told: the clock is off", clock_is_off, times=1),
]
