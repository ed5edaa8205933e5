"""The process of a download that sends receipts.

It is a process of its own because fetchers are forked from the supervisor, in which librdkafka must have no
thread.
"""

from __future__ import annotations

import contextlib
import logging
import os
import select
import time
from collections.abc import Callable, Iterator

from confluent_kafka import KafkaException

from dfud.core.json_fields import time_text
from dfud.core.receipt import Receipt
from dfud.core.text import counted
from dfud.downloading.earlier_files import EarlierFiles, FilesInPlace
from dfud.downloading.owed_receipts import PlacedFile, unpack
from dfud.downloading.receipt_record import ReceiptRecord
from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder
from dfud.files.sync import FileSystemSync
from dfud.kafka.topic_watch import TopicWatch, Watch
from dfud.messages import (
    EarlierFilesSent,
    FilesPlaced,
    FromReceiptSender,
    Notice,
    ReceiptRefused,
    ReceiptsDelayed,
    ReceiptsSent,
    Stop,
    ToReceiptSender,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.dispatch import Dispatcher
from dfud.processes.worker import init_worker
from dfud.receipts.sending import ReceiptProducer
from dfud.receipts.settings import ReceiptSettings
from dfud.receipts.topic import ask_receipt_topic

_BUSY_POLL_S, _IDLE_POLL_S = 0.02, 1.0
_FLUSH_S = 1.5  # at the end
_MAX_EARLIER = 5_000  # receipts of earlier files that wait


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromReceiptSender, ToReceiptSender],
    settings: ReceiptSettings,
    list_files: Callable[[], FilesInPlace],
    directory: str,
    topic_id: str,
    with_earlier: bool,
) -> None:
    """Send receipts until `Stop`; `topic_id` is that of the topic that is downloaded to `directory`.

    `list_files` returns the files that are there; `with_earlier` says that the receipts of all of them are to be
    sent, too.
    """
    init_worker(name, supervisor_pid)
    watch = TopicWatch(settings.properties, settings.topic)
    worker = ReceiptWorker(to_supervisor, settings, list_files, directory, topic_id, with_earlier, watch)
    try:
        while worker.run_once():
            pass
    except PeerGoneError:
        return
    os._exit(0)  # librdkafka would wait for brokers that may be away


class ReceiptWorker:
    """Responsible for all receipts of a download, those of the files of earlier runs included."""

    def __init__(
        self,
        to_supervisor: Channel[FromReceiptSender, ToReceiptSender],
        settings: ReceiptSettings,
        list_files: Callable[[], FilesInPlace],
        directory: str,
        topic_id: str,
        with_earlier: bool,
        watch: Watch,
    ) -> None:
        """Send what `to_supervisor` brings; `watch` says which topic of receipts is there."""
        self._supervisor = to_supervisor
        self._settings = settings
        self._list_files = list_files
        self._directory = directory
        self._source_id = topic_id
        self._watch = watch
        self._logs = OpenFolder(directory, "LOGS")
        self._record = ReceiptRecord(self._logs, settings.source)
        self._outbox: list[FromReceiptSender] = []
        self._producer = ReceiptProducer(
            settings.topic,
            settings.properties,
            self._on_sent,
            self._on_trouble,
            lambda receipt, reason: self._outbox.append(ReceiptRefused(receipt.path, reason)),
        )
        self._found: EarlierFiles  # once there are any
        self._earlier: Iterator[list[PlacedFile]] | None = None  # those that are still to be sent
        self._n_earlier = 0  # batches of them that are not sent
        self._last_earlier = 0  # the number of the last one, descending; those of the supervisor are above 0
        self._n_files = 0  # earlier ones
        self._must_find_earlier = with_earlier
        self._is_unrecorded = with_earlier  # the record was removed, or is not written yet
        self._topic_trouble = ""
        self._is_stopped = False
        self._dispatch: Dispatcher[ToReceiptSender] = Dispatcher(
            ToReceiptSender, {FilesPlaced: self._on_placed, Stop: self._on_stop}
        )
        if with_earlier:
            self._begin_earlier()

    def run_once(self) -> bool:
        """Wait for something to do and do it; return False once stopped."""
        is_busy = self._producer.n_unsettled > 0 or self._earlier is not None
        if select.select([self._supervisor], [], [], 0.0 if is_busy else _IDLE_POLL_S)[0]:
            for message in self._supervisor.receive():
                self._dispatch(message)
        self._producer.poll(_BUSY_POLL_S if self._producer.n_unsettled else 0.0)
        self._look()
        if self._earlier is not None and self._producer.n_unsettled < _MAX_EARLIER:
            self._find_earlier(self._earlier)
        if self._is_unrecorded and self._owes_nothing:
            self._write_record()
        self._send()
        return not self._is_stopped

    def _send(self) -> None:
        if self._outbox:
            outbox, self._outbox = self._outbox, []
            self._supervisor.send(outbox)

    # -- what is owed

    def _on_placed(self, placed: FilesPlaced) -> None:
        files = unpack(placed.files)
        self._source_id = files[-1].topic_id  # a topic that is made anew during the run has another
        self._producer.add(placed.number, map(self._receipt, files))

    def _receipt(self, file: PlacedFile) -> Receipt:
        settings = self._settings
        return Receipt(
            settings.source,
            file.topic_id,
            settings.receiver,
            file.path,
            file.size,
            file.mtime_ns,
            file.xxh3_128,
            time_text(file.time_ns),
            file.sha256,
        )

    def _on_sent(self, number: int) -> None:
        if number > 0:
            self._outbox.append(ReceiptsSent(number))
        else:
            self._n_earlier -= 1
            self._end_earlier()

    def _on_trouble(self, reason: str) -> None:
        """Report it; the next run looks at all files, as messages may be deleted before they are read again."""
        self._outbox.append(ReceiptsDelayed(reason))
        if reason and not self._is_unrecorded:
            self._is_unrecorded = True
            with contextlib.suppress(OSError):  # it says too much only if messages are deleted, too
                self._record.remove()

    @property
    def _owes_nothing(self) -> bool:
        return not (self._must_find_earlier or self._producer.n_unsettled or self._producer.trouble)

    def _on_stop(self, _: Stop) -> None:
        self._is_stopped = True
        deadline = time.monotonic() + _FLUSH_S
        while self._producer.n_unsettled and time.monotonic() < deadline:
            self._producer.poll(_BUSY_POLL_S)

    # -- files of earlier runs

    def _begin_earlier(self) -> None:
        if self._earlier is not None:
            self._found.close()
        sync = FileSystemSync(self._logs.dir_fd)
        self._found = EarlierFiles(self._list_files(), self._source_id, self._settings.with_sha256, sync)
        self._earlier = iter(self._found)
        self._n_files = 0

    def _find_earlier(self, earlier: Iterator[list[PlacedFile]]) -> None:
        try:
            files = next(earlier)
        except StopIteration:
            self._earlier = None
            self._found.close()
            self._end_earlier()
            return
        except OSError as error:
            text = f"cannot sync {self._directory}: {error.strerror}; the next run sends receipts of earlier files"
            self._outbox.append(Notice(logging.ERROR, text))
            self._earlier = None
            return
        if files:
            self._n_earlier += 1
            self._n_files += len(files)
            self._last_earlier -= 1
            self._producer.add(self._last_earlier, map(self._receipt, files))

    def _end_earlier(self) -> None:
        """Report that nothing of earlier runs is owed any more, once that is so."""
        if self._earlier is not None or self._n_earlier:
            return
        if self._found.unread:
            what = counted(self._found.unread, "file or folder", "files and folders")
            text = f"{what} below {self._directory} could not be read: no receipts of what is there"
            self._outbox.append(Notice(logging.WARNING, text))
        self._must_find_earlier = False
        self._outbox.append(EarlierFilesSent(self._n_files, True))

    def _write_record(self) -> None:
        self._is_unrecorded = False
        try:
            self._record.write(self._settings)
        except OSError as error:
            text = f"cannot record in LOGS that receipts are sent: {error.strerror}; the next run sends them again"
            self._outbox.append(Notice(logging.WARNING, text))

    # -- the topic of receipts

    def _look(self) -> None:
        """Notice when the topic is deleted, or made anew: then all receipts are sent again."""
        try:
            state = self._watch.poll()
        except KafkaException:  # the broker is away: the producer reports that
            return
        if state is None or (state.partitions and state.topic_id in ("", self._settings.topic_id)):
            return
        is_known = bool(self._settings.topic_id)
        try:
            topic = ask_receipt_topic(
                None, self._settings.topic, self._settings.properties, self._settings.config_path
            )
        except UsageError as error:
            self._topic_trouble = str(error)
            self._outbox.append(ReceiptsDelayed(self._topic_trouble))
            return
        if self._topic_trouble:
            self._topic_trouble = ""
            self._outbox.append(ReceiptsDelayed(""))
        self._settings = self._settings._replace(topic_id=topic.topic_id)
        if is_known:
            text = f"topic {self._settings.topic} was deleted or made anew: sending all receipts again"
            self._outbox += [Notice(logging.WARNING, text), EarlierFilesSent(0, False)]
            self._must_find_earlier = self._is_unrecorded = True
            self._begin_earlier()
