"""The sealer process: sends the manifest of one run, if all files of the run are on the topic.

It is forked from the supervisor when the run has a marker and nothing of it is on its way any more. So it has a
copy of what is recorded, and can look at every file and talk to the broker for as long as that takes.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import socket
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import xxhash
from confluent_kafka import KafkaError, KafkaException

from dfud import __version__
from dfud.core.json_fields import time_text
from dfud.core.manifest import (
    MAX_METADATA_BYTES,
    ManifestFile,
    ManifestHead,
    ManifestMessage,
    Metadata,
    encode_manifest,
    parse_metadata,
)
from dfud.core.native import MESSAGE_OVERHEAD, Headers
from dfud.core.text import counted, printable
from dfud.core.user_headers import UserHeaders, header_bytes
from dfud.core.version import FileVersion
from dfud.files.links import LinkPolicy
from dfud.files.openat import look, open_regular_file
from dfud.files.scan import GONE, Folder, WatchedTree, join
from dfud.kafka.client_errors import settings_fault
from dfud.kafka.logger import silent_logger
from dfud.kafka.properties import batch_limit
from dfud.kafka.quick_producer import quick_producer
from dfud.logs.completed.recorded import RecordedVersions
from dfud.messages import FromSealer, RunSealed, RunUnsealed, ToSealer
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker
from dfud.uploading.delivery import explain
from dfud.watch.watcher import WatchOptions, make_filter

_MAX_VALUE_BYTES = 500_000  # of a message: most topics accept 1 MB
_UNKNOWN_DIGEST = bytes(16)  # of what OpenMSIStream has uploaded
_POLL_S = 0.2
_BLOCK_BYTES = 1 << 20  # hashed at a time


class SealSettings(NamedTuple):
    """What is the same for all runs."""

    topic: str
    properties: Mapping[str, Any]  # of librdkafka
    headers: UserHeaders  # of each message, besides those of the manifest
    watch: WatchOptions  # which files are uploaded
    metadata: str | None  # name of the file that says what a run is
    with_sha256: bool = False  # of each file


class SealTask(NamedTuple):
    """A run that is to be sealed."""

    folder: bytes
    marker: FileVersion
    other_markers: frozenset[bytes]  # of the same folder, to be sent after this one: paths


class UnsealedError(Exception):
    """The run cannot be sealed."""

    def __init__(self, reason: str, is_marker_gone: bool = False, is_waiting: bool = False) -> None:
        super().__init__(reason)
        self.message = RunUnsealed(reason, is_marker_gone, is_waiting)


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromSealer, ToSealer],
    settings: SealSettings,
    task: SealTask,
    recorded: RecordedVersions,
) -> None:
    """Run the sealer process, which ends when it has reported the result."""
    init_worker(name, supervisor_pid)
    result: FromSealer
    try:
        result = seal(settings, task, recorded)
    except UnsealedError as error:
        result = error.message
    with contextlib.suppress(PeerGoneError):
        to_supervisor.send([result])


def seal(settings: SealSettings, task: SealTask, recorded: RecordedVersions) -> RunSealed:
    """Send the manifest of a run; UnsealedError if that is not possible now."""
    watch = settings.watch
    try:
        tree = WatchedTree(
            watch.directory,
            make_filter(watch),
            links=LinkPolicy(watch.follow_links, watch.logs),
            named=watch.named,
        )
    except OSError as error:
        raise UnsealedError(f"{os.fsdecode(watch.directory)}: {error.strerror}") from None
    with contextlib.closing(tree):
        _check_marker(tree, task.marker)
        files = list_files(tree, task, recorded)
        if settings.with_sha256:
            files = [_with_sha256(tree, file) for file in files]
        metadata = None if settings.metadata is None else _read_metadata(tree, task.folder, settings.metadata)
        _check_marker(tree, task.marker)
    n_bytes = sum(file.size for file in files)
    head = ManifestHead(
        settings.topic,
        task.folder,
        task.marker,
        socket.gethostname(),
        __version__,
        time_text(time.time_ns()),
        len(files),
        n_bytes,
    )
    send_manifest(settings, head, metadata, files)
    return RunSealed(len(files), n_bytes)


def list_files(tree: WatchedTree, task: SealTask, recorded: RecordedVersions) -> list[ManifestFile]:
    """Return the files of a run in the order of their paths; UnsealedError if one of them is not on the topic."""
    files: list[ManifestFile] = []
    missing: list[bytes] = []
    n_unknown = 0
    left_out = {task.marker.path, *task.other_markers}
    for step in tree.walk(Folder(task.folder, take_all=True)):
        if step is None or step[0].version.path in left_out:
            continue
        version = step[0].version
        digest = recorded.digest(version, version.identity())
        if digest is None:
            missing.append(version.path)
        elif digest == _UNKNOWN_DIGEST:
            n_unknown += 1
        else:
            files.append(ManifestFile(*version, digest.hex()))
    for folder in tree.unread:
        raise UnsealedError(f"folder {printable(folder.path) or '.'} cannot be read")
    if missing:
        is_not, first = "is" if len(missing) == 1 else "are", printable(min(missing))
        which = first if len(missing) == 1 else f"{counted(len(missing), 'file')}, such as {first},"
        raise UnsealedError(f"{which} {is_not} not on the topic in the present version", is_waiting=True)
    if n_unknown:
        raise UnsealedError(f"the digests of {counted(n_unknown, 'file')} that OpenMSIStream sent are not known")
    files.sort()
    return files


def _with_sha256(tree: WatchedTree, file: ManifestFile) -> ManifestFile:
    """Return a file with its SHA-256; UnsealedError if it has not the bytes that are on the topic."""
    xxh3_128, sha256 = xxhash.xxh3_128(), hashlib.sha256()
    try:
        descriptor, _ = open_regular_file(file.path, tree.dir_fd, tree.links)
        with open(descriptor, "rb", buffering=0) as opened:
            while data := opened.read(_BLOCK_BYTES):
                xxh3_128.update(data)
                sha256.update(data)
    except OSError as error:
        raise UnsealedError(f"{printable(file.path)} cannot be read: {error.strerror}", is_waiting=True) from None
    if xxh3_128.hexdigest() != file.xxh3_128:
        raise UnsealedError(f"{printable(file.path)} has changed since it was sent", is_waiting=True)
    return file._replace(sha256=sha256.hexdigest())


def _check_marker(tree: WatchedTree, marker: FileVersion) -> None:
    try:
        status = look(tree.dir_fd, marker.path, tree.links)
    except OSError as error:
        raise UnsealedError(f"its marker cannot be accessed: {error.strerror}", error.errno in GONE) from None
    if (status.st_size, status.st_mtime_ns) != marker[1:]:
        raise UnsealedError("its marker has changed", is_marker_gone=True)


def _read_metadata(tree: WatchedTree, folder: bytes, name: str) -> Metadata:
    """Return what the file `name` in a folder says, None if there is none."""
    path = join(folder, os.fsencode(name))
    try:
        descriptor, _ = open_regular_file(path, tree.dir_fd, tree.links)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise UnsealedError(f"{printable(path)} cannot be read: {error.strerror}") from None
    with open(descriptor, "rb") as file:
        try:
            return parse_metadata(file.read(MAX_METADATA_BYTES + 1))
        except OSError as error:
            raise UnsealedError(f"{printable(path)} cannot be read: {error.strerror}") from None
        except ValueError as error:
            raise UnsealedError(f"{printable(path)} cannot be its metadata: {error}") from None


def send_manifest(
    settings: SealSettings, head: ManifestHead, metadata: Metadata, files: Iterable[ManifestFile]
) -> None:
    """Send a manifest, and wait until the broker has all of it; UnsealedError if it does not take it."""
    overhead = MESSAGE_OVERHEAD + len(head.run) + header_bytes(settings.headers)
    max_bytes = min(_MAX_VALUE_BYTES, batch_limit(settings.properties) - overhead)
    sender = _Sender(settings)
    try:
        for message in encode_manifest(head, metadata, files, max_bytes):
            sender.send(message)
        sender.finish()
    except KafkaException as raised:  # a fatal error, or what librdkafka does not accept
        sender.failure = raised.args[0]
    if sender.failure is not None:
        raise UnsealedError(f"its manifest cannot be sent: {explain(sender.failure)}")


class _Sender:
    """Sends messages until one fails."""

    def __init__(self, settings: SealSettings) -> None:
        """Create a Kafka producer; UnsealedError if its settings are refused."""
        self._settings = settings
        self.failure: KafkaError | None = None
        own = {"error_cb": lambda _: None, "logger": silent_logger()}
        try:
            self._producer = quick_producer({**settings.properties, **own}, settings.topic)
        except KafkaException as raised:
            raise UnsealedError(settings_fault(raised.args[0].str(), settings.properties)) from None

    def send(self, message: ManifestMessage) -> None:
        """Give a message to librdkafka, unless one has failed; KafkaException if it is not accepted."""
        headers: Headers = [*message.headers, *self._settings.headers]
        topic = self._settings.topic
        while self.failure is None:
            try:
                self._producer.produce(
                    topic, message.value, message.key, on_delivery=self._on_delivery, headers=headers
                )
            except BufferError:
                self._producer.poll(_POLL_S)
            else:
                return

    def finish(self) -> None:
        """Wait until all messages are acknowledged, or one has failed."""
        while len(self._producer) and self.failure is None:
            self._producer.flush(_POLL_S)

    def _on_delivery(self, error: KafkaError | None, _: Any) -> None:
        if error is not None:
            self.failure = error
