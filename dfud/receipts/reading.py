"""Reading all receipts that are on a topic now."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException

from dfud.errors import DfudError, UsageError
from dfud.kafka.logger import silent_logger
from dfud.kafka.read_access import check_read_access
from dfud.kafka.read_errors import describe, is_final
from dfud.kafka.topic import is_unknown
from dfud.kafka.topic_probe import OnWait, TopicProbe
from dfud.kafka.topic_reader import READER_PROPERTIES, TopicReader
from dfud.kafka.topic_watch import ABSENT, topic_state
from dfud.kafka.watermarks import ask_partitions
from dfud.messages import Gap

_BROKER_TIMEOUT_S = 5.0
_IDLE_TIMEOUT_S = 0.5


class ReceiptSurvey(NamedTuple):
    """What is asked before receipts are read."""

    source_id: str  # of the topic that the files are on; "" if the broker does not say
    offsets: dict[int, tuple[int, int]]  # by partition: of the first receipt, and of the next to arrive


def survey_receipts(
    on_wait: OnWait | None, topic: str, source: str, properties: Mapping[str, Any], config_path: str
) -> ReceiptSurvey:
    """Return where there are receipts on `topic`, and which topic `source` is; UsageError if either is missing.

    With `on_wait`, this waits for a broker as long as it takes. The calling process must not fork afterwards.
    """
    probe = TopicProbe(Consumer, topic, properties, config_path, on_wait)
    if probe.ask(lambda timeout_s: is_unknown(probe.metadata(timeout_s))):
        raise probe.access_error("it does not exist", "check --receipts; `dfud download --receipts` makes it")
    partitions = ask_partitions(probe, with_committed=False)
    check_read_access(probe, None)
    state = probe.ask(lambda _: topic_state(probe.admin, source))
    if state == ABSENT:
        raise UsageError(
            f"cannot access topic {source} at {probe.broker}: it does not exist; check --topic_name: what was on "
            "it is lost, and receipts of it prove nothing any more"
        )
    return ReceiptSurvey(state.topic_id, {number: (each.start, each.end) for number, each in partitions.items()})


def receipt_messages(
    topic: str,
    offsets: Mapping[int, tuple[int, int]],
    properties: Mapping[str, Any],
    on_gap: Callable[[Gap], None],
    patience_s: float,
) -> Iterator[list[Any]]:
    """Yield the messages at these offsets, in the order of each partition; no messages when none come for a while.

    `on_gap` is called for what cannot be read, once what came before it was yielded. Raises DfudError if the topic
    cannot be read any more, or nothing comes for `patience_s`.
    """
    share = {number: start for number, (start, end) in offsets.items() if end > start}
    ends = {number: offsets[number][1] for number in share}
    errors: list[KafkaError] = []
    consumer = Consumer({**properties, **READER_PROPERTIES, "error_cb": errors.append, "logger": silent_logger()})
    gaps: list[Gap] = []
    reader = TopicReader(consumer, topic, ends, gaps.append)
    try:
        if share:
            _find_leaders(consumer, topic)
            reader.assign(share)
        heard_at = time.monotonic()
        while share and not reader.is_done:
            messages: list[Any] = []
            try:
                messages, of_partitions = reader.read(_IDLE_TIMEOUT_S)
                errors.extend(of_partitions)
            except KafkaException as raised:
                errors.append(raised.args[0])
            _check(topic, errors)
            if messages:
                heard_at = time.monotonic()
                errors.clear()
            elif time.monotonic() > heard_at + patience_s:
                why = f": {errors[-1].str()}" if errors else ""
                raise DfudError(f"cannot read topic {topic}: nothing came for {patience_s:g} s{why}; try again")
            yield messages
            while gaps:
                on_gap(gaps.pop(0))
    finally:
        consumer.close()


def _find_leaders(consumer: Consumer, topic: str) -> None:
    """Ask which brokers lead the partitions: once that is known, nothing waits for librdkafka's timers."""
    try:
        consumer.list_topics(topic, timeout=_BROKER_TIMEOUT_S)
    except KafkaException:  # the broker is away: reading waits for it
        return


def _check(topic: str, errors: list[KafkaError]) -> None:
    for error in errors:
        if is_final(error):
            raise DfudError(describe(topic, error))
