"""How far the receivers of topics are behind: asked of the broker once, for ``dfud lag`` and whoever else asks."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

from confluent_kafka import Consumer, KafkaException

from dfud.core.text import counted
from dfud.errors import DfudError
from dfud.kafka.gaps import gap_text
from dfud.kafka.probe import reason_of
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.watermarks import ask_partitions
from dfud.lagging.lag import Basis, ReceiverLag, TopicLag
from dfud.lagging.lags import Places, by_offsets, by_tables
from dfud.lagging.positions import CommittedOffsets
from dfud.lagging.received import Received
from dfud.lagging.retention import Retention
from dfud.lagging.topic_view import SAMPLE_PROPERTIES, TopicView, look_at, offsets_at, sample
from dfud.lagging.uploaded import Unreceived, UploadTables
from dfud.logs.layout import LogsFolder
from dfud.messages import Gap
from dfud.receipts.reading import receipt_messages

_PATIENCE_S = 60.0  # while no receipt comes


def receiver_lags(
    topics: Sequence[str],
    receipts: str,
    properties: Mapping[str, Any],
    config_path: str,
    names: Collection[str] = (),
    folder: LogsFolder | None = None,
) -> dict[str, TopicLag]:
    """Return, by topic, how far the receivers are behind that have sent receipts of it to `receipts`, and `names`.

    `properties` are those of a consumer, from the file `config_path`. A topic that does not exist is left out.
    With the tables of an upload in `folder`, which are about the only topic, lags are exact; otherwise they follow
    from the offsets that receivers have committed. Raises DfudError if the broker does not answer, or if receipts
    or tables cannot be read. The process must not fork afterwards.
    """
    probes = {
        topic: TopicProbe(Consumer, topic, {**properties, **SAMPLE_PROPERTIES}, config_path) for topic in topics
    }
    try:
        views = {topic: view for topic, probe in probes.items() if (view := look_at(probe)) is not None}
        received = {topic: Received(topic, view.topic_id, names) for topic, view in views.items()}
        warnings = read_receipts(receipts, list(received.values()), properties, config_path)
        if folder is not None:
            return {
                topic: _exact(probes[topic], view, received[topic], folder, warnings)
                for topic, view in views.items()
            }
        committed = CommittedOffsets(next(iter(probes.values())).admin)
        if committed.trouble:
            warnings.append(f"consumer groups cannot be listed ({committed.trouble}): lags are not known")
        return {
            topic: _estimated(probes[topic], view, received[topic], committed, warnings)
            for topic, view in views.items()
        }
    except KafkaException as error:
        raise DfudError(f"cannot look at what is on the topic: {reason_of(error)}; try again") from None
    finally:
        for probe in probes.values():
            probe.client.close()


def read_receipts(
    receipts: str, received: Sequence[Received], properties: Mapping[str, Any], config_path: str
) -> list[str]:
    """Read all receipts into `received`; return what was wrong with them. Raises DfudError."""
    probe = TopicProbe(Consumer, receipts, properties, config_path)
    try:
        offsets = {each: (at.start, at.end) for each, at in ask_partitions(probe, with_committed=False).items()}
    finally:
        probe.client.close()
    gaps: list[Gap] = []
    for messages in receipt_messages(receipts, offsets, properties, gaps.append, _PATIENCE_S):
        for each in received:
            each.add(messages)
    warnings = [f"receipts that cannot be read do not count: {gap_text(gap)}" for gap in gaps]
    damaged = next((each for each in received if each.n_damaged), None)
    if damaged is not None:
        number = counted(damaged.n_damaged, "message")
        warnings.append(f"{number} of topic {receipts} cannot be understood as receipts: {damaged.first_fault}")
    return warnings


def _exact(
    probe: TopicProbe[Consumer],
    view: TopicView,
    received: Received,
    folder: LogsFolder,
    warnings: Iterable[str],
) -> TopicLag:
    tables, unreceived = UploadTables(folder), Unreceived(received)
    try:
        for file in tables.read():
            if file.completed_s < view.now_s:
                unreceived.add(file)
    except OSError as error:
        raise DfudError(f"cannot read {error.filename or folder.path}: {error.strerror}") from None
    places = Places(view)
    ask = partial(offsets_at, probe.admin, probe.topic)
    lags = [
        by_tables(name, received.last_receipt(name), unreceived.of(name), view, places, ask)
        for name in received.receivers
    ]
    if tables.n_rejected:
        warnings = [*warnings, f"{counted(tables.n_rejected, 'row')} of the tables cannot be understood"]
    return _topic_lag(probe.topic, view.retention, lags, warnings)


def _estimated(
    probe: TopicProbe[Consumer],
    view: TopicView,
    received: Received,
    committed: CommittedOffsets,
    warnings: Iterable[str],
) -> TopicLag:
    lags = []
    for name in received.receivers:
        positions = committed.of(probe.topic, view.topic_id, name)
        if positions is None:
            lags.append(ReceiverLag(name, Basis.NOTHING, received.last_receipt(name)))
            continue
        unread = {
            number: max(each.start, positions.get(number, 0))
            for number, each in view.partitions.items()
            if each.end > max(each.start, positions.get(number, 0))
        }
        samples = sample(probe.client, probe.topic, unread)
        next_messages = {number: found[0] for number, found in samples.items() if found}
        lags.append(by_offsets(name, received.last_receipt(name), positions, view, next_messages))
    return _topic_lag(probe.topic, view.retention, lags, warnings)


def _topic_lag(topic: str, retention: Retention, lags: Iterable[ReceiverLag], warnings: Iterable[str]) -> TopicLag:
    found = list(warnings)
    if not retention.is_known:
        found.append(
            f"the settings of topic {topic} cannot be looked at: how long files stay is not known; grant the "
            "operation DescribeConfigs on it"
        )
    if retention.compacts:
        found.append(
            f"topic {topic} is compacted, which deletes all chunks of a file but the last; set the topic's "
            "cleanup.policy to delete"
        )
    return TopicLag(topic, retention, tuple(lags), tuple(found))
