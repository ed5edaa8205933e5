"""Looks again and again at what receivers lack of an upload, and at what retention is about to take of it.

Tables and receipts are read once: a look costs what has come since the last one, and what is not received.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException

from dfud.errors import DfudError
from dfud.kafka.probe import reason_of
from dfud.kafka.topic import is_unknown
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.watermarks import ask_partitions
from dfud.lagging.lag import ReceiverLag
from dfud.lagging.lags import Places, by_tables
from dfud.lagging.received import Received
from dfud.lagging.retention import NEVER, due_offset
from dfud.lagging.topic_view import SAMPLE_PROPERTIES, Sample, TopicView, look_at, offsets_at, sample
from dfud.lagging.uploaded import Unreceived, UploadedFile, UploadTables
from dfud.logs.layout import LogsFolder
from dfud.receipts.reading import receipt_messages
from dfud.receipts.required import Required

_ROWS_ARE_LATE_S = 10.0
_PERIOD_BY_SIZE_S = 3_600.0  # where sizes decide, nobody knows
_PATIENCE_S = 30.0  # while no receipt comes


class Risks(NamedTuple):
    """What one look has found."""

    lags: tuple[ReceiverLag, ...]  # of each receiver
    due: list[UploadedFile]  # that retention may take soon, the oldest first
    left_s: float  # until it may take the first of them
    lost: list[UploadedFile]  # that it has taken, the oldest first
    settings: str  # of the topic, that say what it takes
    period_s: float  # how long what is sent now may be expected to stay


class RetentionWatch:
    """Responsible for what is known of one topic, of the upload to it, and of the receipts of what is on it."""

    def __init__(
        self,
        folder: LogsFolder,
        receipts: str,
        required: Required,
        within_s: float,
        properties: Mapping[str, Any],
        config_path: str,
        rows_are_late_s: float = _ROWS_ARE_LATE_S,
    ) -> None:
        """Compare the tables in `folder` with the receipts on the topic `receipts`.

        What retention may take `within_s` counts as due; `properties` are those of a consumer. Rows are taken
        when they are so old that earlier ones can no longer follow, as from another lane.
        """
        self._folder = folder
        self._receipts = receipts
        self._required = required
        self._within_s = within_s
        self._properties = properties
        self._rows_are_late_s = rows_are_late_s
        self._offsets: dict[int, int] = {}  # of the receipts to be read next
        self._probe = TopicProbe(Consumer, folder.topic, {**properties, **SAMPLE_PROPERTIES}, config_path)
        self._receipt_probe = TopicProbe(Consumer, receipts, properties, config_path)
        self._begin("")

    def _begin(self, topic_id: str) -> None:
        """Know nothing of a topic."""
        self._topic_id = topic_id
        self._offsets.clear()
        self._first_messages: dict[int, Sample] = {}
        others = bool(self._required.number)
        self._received = Received(self._folder.topic, topic_id, self._required.names, others)
        self._tables = UploadTables(self._folder)
        self._unreceived = Unreceived(self._received, self._required.is_met)

    def look(self) -> Risks:
        """Look at everything again; DfudError if that is not possible now."""
        try:
            view = look_at(self._probe, self._first_messages)
            if view is None:
                raise DfudError(f"topic {self._folder.topic} does not exist")
            if view.topic_id != self._topic_id:
                self._begin(view.topic_id)
            self._read_tables(view)
            self._read_receipts()
            return self._judge(view)
        except KafkaException as error:
            raise DfudError(reason_of(error)) from None
        except OSError as error:
            raise DfudError(f"cannot read {error.filename or self._folder.path}: {error.strerror}") from None

    def _read_tables(self, view: TopicView) -> None:
        self._folder.reopen()  # somebody may have removed LOGS, which the upload then makes again
        for file in self._tables.read(view.now_s - self._rows_are_late_s):
            self._unreceived.add(file)

    def _read_receipts(self) -> None:
        probe = self._receipt_probe
        if not self._offsets and probe.ask(lambda timeout_s: is_unknown(probe.metadata(timeout_s))):
            raise probe.access_error("it does not exist", "check --receipts; `dfud download --receipts` makes it")
        unread = {}
        for number, each in ask_partitions(probe, with_committed=False).items():
            start = self._offsets.get(number, each.start)
            unread[number] = (each.start if start > each.end else max(start, each.start), each.end)
        for messages in receipt_messages(self._receipts, unread, self._properties, lambda _: None, _PATIENCE_S):
            for path in self._received.add(messages):
                self._unreceived.on_receipt(path)
        self._offsets.update({number: end for number, (_, end) in unread.items()})

    def _judge(self, view: TopicView) -> Risks:
        places = Places(view)
        limits = self._due_times(view)
        lost, due = [], []
        for file in self._unreceived.files.values():
            if file.completed_s >= view.now_s:
                continue
            if places.is_lost(file, view.partitions):
                lost.append(file)
            elif any(file.started_s <= limits[number] for number in places.of(file)):
                due.append(file)
        ask = partial(offsets_at, self._probe.admin, self._probe.topic)
        lags = tuple(
            by_tables(name, self._received.last_receipt(name), self._unreceived.of(name), view, places, ask)
            for name in self._received.receivers
        )
        left = min((each.left_s for each in lags if each.left_s is not None), default=NEVER)
        due.sort(key=lambda file: file.started_s)
        lost.sort(key=lambda file: file.completed_s)
        retention = view.retention
        named = {"retention.ms": retention.ms, "retention.bytes": retention.bytes}
        settings = " or ".join(name for name, value in named.items() if value is not None)
        period_s = NEVER if retention.ms is None else retention.ms / 1000
        if retention.bytes is not None:
            period_s = min(period_s, _PERIOD_BY_SIZE_S)
        return Risks(lags, due, left, lost, settings, period_s)

    def _due_times(self, view: TopicView) -> dict[int, float]:
        """Return, by partition, the time up to which what was sent may be taken soon."""
        retention = view.retention
        by_age = -math.inf if retention.ms is None else view.now_s + self._within_s - retention.ms / 1000
        limits = dict.fromkeys(view.partitions, by_age)
        offsets = {
            number: min(offset, each.end - 1)
            for number, each in view.partitions.items()
            if (offset := due_offset(retention, each, self._within_s)) > each.start and each.end > each.start
        }
        for number, found in sample(self._probe.client, self._probe.topic, offsets).items():
            limits[number] = max([by_age, *(each.time_s for each in found[:1])])
        return limits
