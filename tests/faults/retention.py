"""Retention takes what a receiver that is stopped has not received."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager

from confluent_kafka import Consumer, TopicPartition

from dfud.broker.node import KafkaNode
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally, count_chunks
from tests.helpers.downloading import contents, downloading
from tests.helpers.receipts import receipts_on
from tests.helpers.topics import create_topic
from tests.helpers.uploading import Upload, tree, uploading, wait_until

_RECEIVER = "archive"
_TIMEOUT_S = 20.0
_NAMED = re.compile(r"(\S+) may be deleted from the topic before it is received")
_LOST = re.compile(r"([\d,]+) files? (?:is|are) gone from topic")
_RESENT = re.compile(r"sending (?:([\d,]+) files|\S+)")


class _Topic:
    """What is on a topic, and what was there and is gone, as a reader of its own sees it."""

    def __init__(self, bootstrap: str, topic: str, n_partitions: int) -> None:
        self._consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "eye", "enable.auto.commit": False})
        self._partitions = [TopicPartition(topic, number, 0) for number in range(n_partitions)]
        self._consumer.assign(self._partitions)
        self._first: dict[bytes, tuple[int, int]] = {}  # partition and offset of the first message of a path
        self.gone: set[bytes] = set()  # the first copies of these files

    def look(self) -> set[bytes]:
        """Read what is new; return the files of which the first message is gone since the last look."""
        while message := self._consumer.poll(0.05):
            if message.error() is None:
                place = message.partition() or 0, message.offset() or 0
                self._first.setdefault(message.key() or b"", place)
        starts = [self._consumer.get_watermark_offsets(each, _TIMEOUT_S)[0] for each in self._partitions]
        gone = {path for path, (number, offset) in self._first.items() if offset < starts[number]}
        new, self.gone = gone - self.gone, gone
        return new

    def close(self) -> None:
        self._consumer.close()


class _Case:
    """An upload, its receiver, and the topic between them."""

    def __init__(self, scene: Scene, node: KafkaNode, retention_s: int, resends: bool) -> None:
        settings = {"retention_ms": retention_s * 1000, "segment_ms": 2_000}
        self.topic = create_topic(node.internal_bootstrap, 4, settings=settings)
        self.receipts = create_topic(node.internal_bootstrap, 2, settings={"cleanup_policy": "compact"})
        self.bootstrap = node.bootstrap
        self.directory, self.target = scene.directory(), scene.directory()
        self.config = scene.config(node.bootstrap)
        self.options = ["--receipts", self.receipts, "--receivers", _RECEIVER, "--guard", f"{retention_s // 3}s"]
        self.options += ["--logger_file_level", "debug", *(["--resend"] if resends else [])]
        self.eye = _Topic(node.bootstrap, self.topic, 4)
        self._log_at = 0
        self.named: set[bytes] = set()
        self.n_resent = self.n_lost = 0

    def receiving(self) -> AbstractContextManager[Upload]:
        return downloading(
            self.target, self.config, self.topic, "--receipts", self.receipts, "--receiver", _RECEIVER
        )

    def look(self, tally: Tally) -> None:
        """Read the log, then the topic: whatever is gone from that must have been named in the log."""
        with open(self.directory / "LOGS" / "DataFileUploadDirectory.log", encoding="utf-8") as file:
            file.seek(self._log_at)
            text = file.read()
            self._log_at = file.tell()
        self.named |= {os.fsencode(name) for name in _NAMED.findall(text)}
        self.n_lost += sum(int(number.replace(",", "")) for number in _LOST.findall(text))
        self.n_resent += sum(int((number or "1").replace(",", "")) for number in _RESENT.findall(text))
        for path in self.eye.look():
            tally.times += 1
            tally.require(path in self.named or path.startswith(b"early"), f"{path!r} went before it was named")

    def has_received_all(self) -> bool:
        return {path for _, path in receipts_on(self.bootstrap, self.receipts)} == set(tree(self.directory))


@contextmanager
def _node(scene: Scene) -> Iterator[KafkaNode]:
    often = {"log.retention.check.interval.ms": "500", "log.segment.delete.delay.ms": "500"}
    with KafkaNode(scene.path("kafka"), heap_mb=384, properties=often) as node:
        yield node


def stop_receiver(scene: Scene, tally: Tally, retention_s: int) -> None:
    """Kill a receiver for three periods of retention, with and without --resend, then start it again."""
    with _node(scene) as node, ExitStack() as stack:
        cases = [_Case(scene, node, retention_s, resends) for resends in (True, False)]
        uploads = []
        for case in cases:
            stack.callback(case.eye.close)
            upload = uploading(case.directory, case.config, case.topic, *case.options)
            uploads.append(stack.enter_context(upload))
            with case.receiving() as receiver:
                scene.fill(case.directory, 40, 100_000, "early")
                wait_until(case.has_received_all, 60)
                receiver.kill()
        began, number = time.monotonic(), 0
        while time.monotonic() < began + 3 * retention_s:
            if time.monotonic() < began + retention_s / 2:
                number += 1
                for case in cases:
                    scene.fill(case.directory, 20, 100_000, f"late{number}-")
            for case in cases:
                case.look(tally)
            time.sleep(retention_s / 80)
        resent, plain = cases
        late = {path for path in tree(plain.directory) if path.startswith(b"late")}
        tally.require(plain.n_lost == len(late), f"{plain.n_lost} of {len(late)} files were reported as lost")
        tally.require(late <= plain.eye.gone, "not all files have gone")
        tally.require(not resent.n_lost, f"{resent.n_lost} files were lost before they were sent again")
        with resent.receiving(), tally.recovering():
            wait_until(resent.has_received_all, 60)
        expected, there = tree(resent.directory), contents(resent.target)
        tally.files, tally.chunks = len(expected), sum(map(count_chunks, expected.values()))
        tally.lost = sum(there.get(path) != data for path, data in expected.items())
        tally.remark = (
            f"retention of {retention_s} s, receiver away for {3 * retention_s} s: {resent.n_resent} files "
            f"sent again, all received; without --resend, all {plain.n_lost} are named before they go"
        )
        for each in uploads:
            each.quit()


FAULTS = [Fault("retention takes what a stopped receiver lacks", stop_receiver, times=60)]
