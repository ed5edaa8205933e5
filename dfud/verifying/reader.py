"""The reader process of a verification: reads its partitions from start to end, and looks at every chunk."""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import Any, NamedTuple

import xxhash
from confluent_kafka import Consumer, KafkaError, TopicPartition

from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import read_chunk
from dfud.core.version import FileVersion
from dfud.files.confined import ConfinedTree
from dfud.kafka.topic import silent_logger
from dfud.messages import BrokerOutage, FromReader, ReaderDone, ToReader, VersionVerdicts
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker, tune_malloc
from dfud.verifying.findings import DIFFERS, NOT_HERE, SAME, WRONG, path_mark, record
from dfud.verifying.version_check import VersionCheck

_BATCH = 500  # messages taken at once
_IDLE_TIMEOUT_S = 1.0  # s to wait for a message
_MAX_OPEN = 128  # files
_RECORDS_AT_ONCE = 1000
_BROKER_TIMEOUT_S = 15.0  # s for the broker to answer
_PASSES = 5  # at the most, over chunks that lie out of order and have no file here


class ReadSettings(NamedTuple):
    """What is the same for all readers."""

    directory: str
    topic: str
    properties: dict[str, Any]  # of librdkafka
    workers: int
    offsets: dict[int, tuple[int, int]]  # by partition: where to begin and where to end


def run(
    name: str, supervisor: int, to_supervisor: Channel[FromReader, ToReader], number: int, settings: ReadSettings
) -> None:
    """Be the reader `number`: read all of its partitions, tell what was found, and end."""
    init_worker(name, supervisor)
    tune_malloc()
    try:
        Reader(to_supervisor, number, settings).run()
    except PeerGoneError:
        return
    os._exit(0)  # a consumer's close would wait for the broker


class Reader:
    """Responsible for a share of the partitions."""

    def __init__(self, channel: Channel[FromReader, ToReader], number: int, settings: ReadSettings) -> None:
        self._channel = channel
        self._settings = settings
        self._tree = ConfinedTree(settings.directory)
        self._ours = {
            partition: (start, end)
            for partition, (start, end) in settings.offsets.items()
            if partition % settings.workers == number and end > start
        }
        self._consumer = Consumer(
            {
                **settings.properties,
                "enable.partition.eof": True,
                "error_cb": self._on_error,
                "logger": silent_logger(),
            }
        )
        self._witnesses: dict[bytes, VersionCheck] = {}
        self._current: dict[bytes, VersionCheck] = {}  # by key
        self._open: dict[int, VersionCheck] = {}  # by id, those with their file open
        self._again: dict[bytes, VersionCheck] = {}  # whole, and to be hashed in another pass
        self._records: list[bytes] = []
        self._paths: list[bytes] = []
        self._messages = self._bytes = self._refused = 0
        self._away = False

    def run(self) -> None:
        if self._ours:
            self._consumer.list_topics(self._settings.topic, _BROKER_TIMEOUT_S)
            self._pass(self._take_all)
            for _ in range(_PASSES):
                if not self._again:
                    break
                self._pass(self._hash_all)
        self._send_verdicts()
        batch: list[FromReader] = [witness.partial() for witness in self._witnesses.values()]
        batch += [witness.partial() for witness in self._again.values()]
        for at in range(0, len(batch), _RECORDS_AT_ONCE):
            self._channel.send(batch[at : at + _RECORDS_AT_ONCE])
        self._channel.send([ReaderDone(self._messages, self._bytes, self._refused)])

    def _pass(self, take: Any) -> None:
        """Read our partitions once."""
        topic = self._settings.topic
        reading = {partition: end for partition, (_, end) in self._ours.items()}
        self._consumer.assign([TopicPartition(topic, number, start) for number, (start, _) in self._ours.items()])
        while reading:
            messages = self._consumer.consume(_BATCH, 0)
            if not messages:
                message = self._consumer.poll(_IDLE_TIMEOUT_S)
                messages = [] if message is None else [message]
            good = []
            for message in messages:
                number: int = message.partition()  # type: ignore[assignment]
                offset: int = message.offset()  # type: ignore[assignment]
                error = message.error()
                end = self._ours[number][1]
                if error is None:
                    if offset < end:
                        good.append(message)
                    if offset + 1 >= end:
                        reading.pop(number, None)
                elif error.code() == KafkaError._PARTITION_EOF:
                    if offset >= end:
                        reading.pop(number, None)
                else:
                    self._on_error(error)
            if good:
                if self._away:
                    self._away = False
                    self._channel.send([BrokerOutage("")])
                self._tree.close_folders()
                take(good)
            if len(self._records) >= _RECORDS_AT_ONCE:
                self._send_verdicts()

    def _take_all(self, messages: Iterable[Any]) -> None:
        for message in messages:
            key, value, headers = message.key(), message.value(), message.headers()
            self._messages += 1
            self._bytes += len(value or b"")
            witness = self._current.get(key) if key is not None else None
            if witness is not None and witness.next_number and value and headers:
                number = witness.next_number
                digest = xxhash.xxh3_64_hexdigest(value).encode()
                offset = (number - 1) * witness.chunk_size
                if (
                    headers == witness.headers(number, digest)  # type: ignore[misc]
                    and len(value) == witness.chunk_size
                    and offset + len(value) < witness.assembly.size  # type: ignore[operator]
                ):
                    if witness.here is not None and witness.descriptor < 0:
                        self._open_file(witness)
                    witness.look(number, offset, value)
                    witness.next_number = number + 1
                    continue
            try:
                piece = read_chunk(key, value, headers)
            except ForeignMessageError:
                continue
            except BadMessageError:
                self._refused += 1
                continue
            self._take(piece, key or b"")

    def _take(self, piece: Chunk, key: bytes) -> None:
        identity = piece.identity()
        witness = self._witnesses.get(identity)
        if witness is None:
            witness = self._witnesses[identity] = VersionCheck(piece, self._here(piece))
        if witness.here is not None and witness.descriptor < 0:
            self._open_file(witness)
        witness.take(piece)
        if witness.next_number:
            self._current[key] = witness
        if witness.assembly.is_whole or (piece.size == 0 and piece.digest):
            self._conclude(identity, witness)

    def _here(self, piece: Chunk) -> FileVersion | None:
        """Return the version of the file in the directory, if it has the size of the piece's."""
        found = self._tree.stat_file(piece.path)
        if found is not None and (piece.size is None or piece.size == found.st_size):
            return FileVersion(piece.path, found.st_size, found.st_mtime_ns)
        self._paths.append(path_mark(piece.path))
        return None

    def _open_file(self, witness: VersionCheck) -> None:
        try:
            witness.descriptor = self._tree.open(witness.piece.path)
        except OSError:  # it was removed, or may not be read: then nothing is said of it
            witness.here = None
            return
        self._open[id(witness)] = witness
        if len(self._open) > _MAX_OPEN:
            self._close(next(iter(self._open.values())))

    def _close(self, witness: VersionCheck) -> None:
        if self._open.pop(id(witness), None) is not None:
            os.close(witness.descriptor)
            witness.descriptor = -1

    def _conclude(self, identity: bytes, witness: VersionCheck) -> None:
        """Give the verdict on a version of which all is there."""
        right = witness.is_right()
        del self._witnesses[identity]
        self._current.pop(witness.piece.path, None)
        witness.next_number = 0
        if right is None:
            self._close(witness)
            witness.assembly.restart_hash()
            self._again[identity] = witness
        else:
            self._tell(witness, right)

    def _tell(self, witness: VersionCheck, right: bool) -> None:
        piece, assembly, here = witness.piece, witness.assembly, witness.here
        if here is not None and assembly.size != here.size:
            here = None  # OpenMSIStream tells the size at the end
            self._paths.append(path_mark(piece.path))
        state = WRONG if not right else NOT_HERE if here is None else SAME if witness.is_same else DIFFERS
        version = FileVersion(piece.path, assembly.size or 0, piece.mtime_ns or 0)
        self._records.append(record(version, piece.algorithm, assembly.digest, here, state))
        self._close(witness)

    def _hash_all(self, messages: Iterable[Any]) -> None:
        """Go on with the digests of what came out of order, as far as the chunks lie in order this time."""
        for message in messages:
            try:
                piece = read_chunk(message.key(), message.value(), message.headers())
            except ValueError:
                continue
            identity = piece.identity()
            witness = self._again.get(identity)
            if witness is not None and piece.offset == witness.assembly.hashed:
                witness.assembly.add(piece.offset, piece.data)
                if witness.assembly.hashed == witness.assembly.size:
                    del self._again[identity]
                    self._tell(witness, witness.assembly.verify(lambda length, offset: b""))

    def _send_verdicts(self) -> None:
        if self._records or self._paths:
            self._channel.send([VersionVerdicts(b"".join(self._records), b"".join(self._paths))])
            self._records, self._paths = [], []

    def _on_error(self, error: KafkaError) -> None:
        if error.code() == KafkaError._ALL_BROKERS_DOWN and not self._away:
            self._away = True
            self._channel.send([BrokerOutage(error.str())])
