"""The files of a topic as an iterator: ``dfud.read_files``."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import IO, Any, NamedTuple

from confluent_kafka import Consumer, KafkaError, KafkaException

from dfud.api import Path
from dfud.core.chunk import BadMessageError, ForeignMessageError
from dfud.core.decode import headers_of, read_chunk
from dfud.core.native import CHUNK_HEADERS
from dfud.core.text import printable
from dfud.errors import DfudError, UsageError
from dfud.followed_topic import FollowedTopic
from dfud.kafka.config import read_config
from dfud.kafka.gaps import gap_text
from dfud.kafka.open_ends import hidden_gaps, written_ends
from dfud.kafka.properties import consumer_properties
from dfud.kafka.read_errors import ReadError, describe, is_final, is_forbidden, kind_of
from dfud.kafka.topic_probe import TopicProbe
from dfud.kafka.topic_reader import READER_PROPERTIES, Read, TopicReader
from dfud.kafka.topic_watch import TopicWatch, topic_state
from dfud.kafka.watermarks import Partition, ask_partitions
from dfud.messages import Gap
from dfud.spooled_versions import SpooledVersion, SpooledVersions

_SPOOL_BYTES = 8 << 20  # of a file in memory; larger files go to a temporary file
_IDLE_TIMEOUT_S = 0.25  # to wait for a message
_MAX_NAMED = 20  # files that are incomplete

_log = logging.getLogger(__name__)


class _Fields(NamedTuple):
    """What a `TopicFile` is unpacked into."""

    path: str  #: relative, "/"-separated; bytes that are not UTF-8 become surrogates, as by `os.fsdecode`
    size: int  #: bytes
    mtime_ns: int | None  #: nanoseconds since 1970-01-01 UTC; None if the sender did not state it
    digest: str  #: "xxh3_128:…" or "sha512:…", in hex digits
    file: IO[bytes]  #: open at its start, valid until the next file is requested


class TopicFile(_Fields):
    """A file of a topic, complete and intact."""

    headers: dict[str, bytes]
    """Headers of the sender's own (``dfud upload --header``), which are not unpacked."""


def read_files(
    config: Path,
    topic: str,
    *,
    follow: bool = False,
    consumer_group_id: str | None = None,
    spool_bytes: int = _SPOOL_BYTES,
) -> Iterator[TopicFile]:
    """Yield the files of a topic from its start, each as soon as it is complete and its digest is verified.

    This ends with what was on the topic when it began; with `follow` it never ends, but for DfudError if the topic
    is deleted: one that is made anew is read from its beginning, as are partitions that are added. A file that is
    on the topic in several versions is yielded once for each, in the order in which they were completed: the last
    one counts. If `consumer_group_id` has committed offsets, reading begins there; nothing is committed here, and
    no right to use a group is needed without it. At most `spool_bytes` of each file are held in memory, and 64 MiB
    of all that are incomplete.

    Raises UsageError for a bad configuration, or if the topic cannot be accessed. Once all files that are complete
    have been yielded, DfudError names what is missing: files of which the topic has only a part, and messages that
    are damaged, that an open transaction hides, or that were deleted after the committed offset or while the topic
    was read. With `follow`, messages that are skipped are logged, and a topic that was made anew.

    >>> for path, size, mtime_ns, digest, file in read_files("kafka.config", "scans"):  # doctest: +SKIP
    ...     print(path, size, file.read(4))
    """
    versions = SpooledVersions(spool_bytes, remembers=not follow)
    missing: list[str] = []
    try:
        messages = _messages(config, topic, follow, consumer_group_id, missing)
        for version in _completed(versions, messages):
            with version.file:
                yield _topic_file(version)
        missing += _incomplete(versions.incomplete())
    finally:
        versions.close()
    if missing:
        raise DfudError(f"topic {topic} does not have all that was sent: {'; '.join(missing)}")


def _completed(versions: SpooledVersions, messages: Iterable[Any]) -> Iterator[SpooledVersion]:
    """Yield the versions that messages complete; a None among these is a moment for a second look at others."""
    for message in messages:
        if message is None:
            yield from versions.recheck(is_end=False)
            continue
        try:
            chunk = read_chunk(message.key(), message.value(), headers_of(message))
        except (ForeignMessageError, BadMessageError):
            continue
        version = versions.add(chunk, message)
        if version is not None:
            yield version
    yield from versions.recheck(is_end=True)


def _topic_file(version: SpooledVersion) -> TopicFile:
    version.file.seek(0)
    assembly = version.assembly
    digest = f"{version.algorithm}:{assembly.digest}"
    made = TopicFile(os.fsdecode(version.path), assembly.size or 0, version.mtime_ns, digest, version.file)
    made.headers = {name: value or b"" for name, value in version.headers or () if name not in CHUNK_HEADERS}
    return made


def _incomplete(paths: Iterable[bytes]) -> list[str]:
    """Return what to say of files that are incomplete."""
    distinct = iter(dict.fromkeys(paths))
    texts = [f"{printable(path)} is incomplete" for path in islice(distinct, _MAX_NAMED)]
    n_more = sum(1 for _ in distinct)
    return [*texts, f"and {n_more} more"] if n_more else texts


def _messages(config: Path, topic: str, follow: bool, group: str | None, missing: list[str]) -> Iterator[Any]:
    """Yield the messages of a topic, those of each partition in order, and None if there is none for a moment.

    What cannot be read is told to `missing`.
    """
    config_path = os.fsdecode(config)
    properties = consumer_properties(read_config(config_path, "consumer"), group or "dfud-read")
    probe = TopicProbe(Consumer, topic, {**properties, **READER_PROPERTIES}, config_path)

    def on_gap(gap: Gap) -> None:
        if follow:
            _log.warning("topic %s, %s", topic, gap_text(gap))
        else:
            missing.append(gap_text(gap))

    try:
        partitions = ask_partitions(probe, with_committed=group is not None)
        topic_id = _topic_id(probe)
        ends = None
        if not follow:
            written = written_ends(probe.admin, topic, partitions)
            partitions = ask_partitions(probe, with_committed=group is not None)
            ends = {number: each.end for number, each in partitions.items()}
            for gap in hidden_gaps(ends, written):
                on_gap(gap)
        for gap in _gone(partitions):
            on_gap(gap)
        reader = TopicReader(probe.client, topic, ends, on_gap, resumes=not follow)
        starts = {number: _start(each) for number, each in partitions.items()}
        read: Callable[[float], Read] = reader.read
        if follow:
            watch = TopicWatch(probe.properties, topic)
            read = FollowedTopic(probe.client, topic, topic_id, reader, watch, starts).read
        else:
            reader.assign(starts)
        probe.errors.clear()
        while not reader.is_done:
            messages, errors = read(_IDLE_TIMEOUT_S)
            yield from messages or [None]
            _raise_final(topic, [*errors, *probe.errors], may_be_made_anew=follow)
            probe.errors.clear()
        if _topic_id(probe) != topic_id:
            missing.append("it was deleted, and perhaps made anew, while it was read")
    finally:
        probe.client.close()


def _topic_id(probe: TopicProbe[Consumer]) -> str:
    return probe.ask(lambda _: topic_state(probe.admin, probe.topic)).topic_id


def _raise_final(topic: str, errors: Iterable[KafkaError], may_be_made_anew: bool) -> None:
    for error in errors:
        if is_final(error) and not (may_be_made_anew and kind_of(error) is ReadError.NO_TOPIC):
            kind = UsageError if is_forbidden(error) else DfudError
            raise kind(describe(topic, error)) from KafkaException(error)


def _start(partition: Partition) -> int:
    """Return where to begin; what is committed and is no longer there says nothing of what took the place."""
    return partition.start if partition.committed > partition.end else max(partition.start, partition.committed)


def _gone(partitions: dict[int, Partition]) -> Iterator[Gap]:
    """Yield what the group's committed offsets refer to and is no longer there."""
    for number, each in partitions.items():
        if 0 <= each.committed < each.start:
            yield Gap("", number, each.committed, each.start - 1, "deleted", "")
        elif each.committed > each.end:
            yield Gap("", number, each.end, each.committed - 1, "cut", "")
