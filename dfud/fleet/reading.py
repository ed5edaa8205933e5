"""Reading heartbeats and receipts: once, and then what has arrived since."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient

from dfud.core.text import counted
from dfud.fleet.lags import Lags, ask_lags
from dfud.fleet.programs import MAX_PROGRAMS, Programs
from dfud.fleet.receivers import MAX_RECEIVERS, Receivers
from dfud.fleet.snapshot import Snapshot, take_snapshot
from dfud.kafka.gaps import gap_text
from dfud.kafka.read_access import check_read_access
from dfud.kafka.topic import is_unknown
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.watermarks import ask_partitions
from dfud.logs.status_check import Limits
from dfud.messages import Gap
from dfud.receipts.reading import receipt_messages as messages_at

_PATIENCE_S = 60.0  # while nothing comes
_ANSWER_TIMEOUT_S = 5.0
_MAX_GAPS = 10  # that are named
_HEARTBEAT_ADVICE = "check --heartbeat_topic_name; `dfud upload --heartbeat_topic_name` sends to it"
_NO_LAGS = "consumer groups cannot be listed ({}): what receivers have not read is not known"
_RECEIPT_ADVICE = "check --receipts; `dfud download --receipts` makes it"


class FleetTopics(NamedTuple):
    """Where a fleet is read from."""

    heartbeats: str
    receipts: str | None
    since_s: float  # how far back heartbeats are read
    properties: Mapping[str, Any]  # of librdkafka's consumer
    config_path: str  # to name it in messages


class FleetReader:
    """Responsible for what was read so far. The process must not fork once it has been used."""

    def __init__(self, topics: FleetTopics, limits: Limits, clock: Callable[[], float] = time.time) -> None:
        """Read `topics`, and judge by `limits`; `clock` gives seconds since 1970."""
        self._topics = topics
        self._limits = limits
        self._clock = clock
        self._programs = Programs()
        self._receivers = None if topics.receipts is None else Receivers()
        properties = topics.properties, topics.config_path
        self._heartbeats = _Tail(topics.heartbeats, _HEARTBEAT_ADVICE, *properties)
        self._receipts = None if topics.receipts is None else _Tail(topics.receipts, _RECEIPT_ADVICE, *properties)

    def read(self) -> Snapshot:
        """Read what has arrived, and return the fleet as it is now. Raises DfudError."""
        topics = self._topics
        since_s = self._clock() - topics.since_s
        for messages in self._heartbeats.read(since_s):
            self._programs.add(messages)
        self._programs.forget_before(since_s)
        if self._receipts is not None and self._receivers is not None:
            for messages in self._receipts.read(None):
                self._receivers.add(messages)
        lags = self._ask_lags()
        return take_snapshot(
            self._clock(),
            (topics.heartbeats, topics.receipts),
            topics.since_s,
            self._programs.all(),
            self._receivers,
            self._limits,
            [*self._notes(), *([_NO_LAGS.format(lags.trouble)] if lags.trouble else [])],
            lags.of,
        )

    def _ask_lags(self) -> Lags:
        if self._receipts is None or self._receivers is None or not self._receivers.names:
            return Lags({})
        return ask_lags(self._receipts.admin, self._receivers.names)

    def _notes(self) -> Iterator[str]:
        for tail, kept, noun, limit in (
            (self._heartbeats, self._programs, "heartbeat", f"{MAX_PROGRAMS:,} programs"),
            (self._receipts, self._receivers, "receipt", f"{MAX_RECEIVERS:,} receivers"),
        ):
            if tail is None or kept is None:
                continue
            yield from tail.gaps
            if kept.n_malformed:
                of = f"{counted(kept.n_malformed, 'message')} of topic {tail.topic}"
                yield f"{of} cannot be understood as a {noun}; the first one: {kept.first_fault}"
            if kept.n_left_out:
                left = f"{counted(kept.n_left_out, noun)} of others left out"
                yield f"topic {tail.topic} has more than {limit}: {left}; somebody may make them up"


class _Tail:
    """Responsible for reading a topic up to its present end, each time from where the last time ended."""

    def __init__(self, topic: str, advice: str, properties: Mapping[str, Any], config_path: str) -> None:
        self.topic = topic
        self.gaps: deque[str] = deque(maxlen=_MAX_GAPS)  # what could not be read, as texts
        self._advice = advice
        self._properties = properties
        self._config_path = config_path
        self._probe: TopicProbe[Consumer] | None = None
        self._positions: dict[int, int] = {}  # by partition

    @property
    def admin(self) -> AdminClient:
        """A client for administration; the topic must have been read before."""
        assert self._probe is not None
        return self._probe.admin

    def read(self, since_s: float | None) -> Iterator[Sequence[Any]]:
        """Yield the messages that were not read before, none of them older than that (s since 1970)."""
        if self._probe is None:
            probe = TopicProbe(Consumer, self.topic, self._properties, self._config_path)
            if probe.ask(lambda timeout_s: is_unknown(probe.metadata(timeout_s))):
                raise probe.access_error("it does not exist", self._advice)
            check_read_access(probe, None)
            self._probe = probe
        partitions = ask_partitions(self._probe, with_committed=False)
        new = {number: each.start for number, each in partitions.items() if number not in self._positions}
        if since_s is not None and new:
            new.update(self._offsets_at(since_s, list(new), {number: partitions[number].end for number in new}))
        starts = {**new, **self._positions}
        offsets = {}
        for number, each in partitions.items():
            is_made_anew = starts[number] > each.end
            offsets[number] = (each.start if is_made_anew else max(starts[number], each.start), each.end)
        self._positions = {number: start for number, (start, _) in offsets.items()}
        for messages in messages_at(self.topic, offsets, self._properties, self._on_gap, _PATIENCE_S):
            self._positions.update({message.partition(): message.offset() + 1 for message in messages})
            yield messages
        self._positions = {number: end for number, (_, end) in offsets.items()}

    def _offsets_at(self, since_s: float, numbers: list[int], ends: dict[int, int]) -> dict[int, int]:
        """Return the offsets of the first messages that are not older; the end where there are none."""
        assert self._probe is not None
        client = self._probe.client
        asked = [TopicPartition(self.topic, number, int(since_s * 1000)) for number in numbers]

        def ask(_: float) -> list[TopicPartition]:
            found: list[TopicPartition] = client.offsets_for_times(asked, timeout=_ANSWER_TIMEOUT_S)
            for each in found:
                if each.error is not None:
                    raise KafkaException(each.error)
            return found

        found = self._probe.ask(ask)
        return {each.partition: each.offset if each.offset >= 0 else ends[each.partition] for each in found}

    def _on_gap(self, gap: Gap) -> None:
        self.gaps.append(f"topic {self.topic}: {gap_text(gap)}")
