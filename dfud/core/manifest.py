"""Manifests: messages that say which files a run consists of, each with its size and digest.

A run is a folder that is finished. Its manifest is one message or, if it has very many files, several *parts*,
each a JSON object in itself. docs/runs.md describes them for other programs. Whoever may write to the topic may
have written any of it: what is decoded is a claim, and nothing about it is trusted but its form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Optional

import xxhash

from dfud.core.json_fields import (
    SHA256,
    TOPIC,
    XXH3_128,
    decoded_path,
    json_text,
    load_json,
    take_mtime,
    take_number,
    take_path,
    take_text,
    take_time,
)
from dfud.core.version import FileVersion

FORMAT = 1
TOP = b"."  # how a manifest names the directory itself, if all of that is one run
MAX_METADATA_BYTES = 64 << 10
MAX_PART_BYTES = 2 << 20  # of a value that is looked at: read, hostile JSON takes 25 times as much memory
MAX_PARTS = 1_000_000
_KIND, _ID, _PART, _XXH3_64 = "manifest", "manifest_id", "manifest_part", "manifest_xxh3_64"  # headers
_NUMBER = re.compile(rb"[1-9][0-9]{0,6}")
_LINE = re.compile(r"[^\x00-\x1f\x7f]{0,255}")

Metadata = Optional[dict[str, Any]]  # what a JSON object says
RawHeaders = Sequence[tuple[str, "bytes | None"]]


class ManifestMessage(NamedTuple):
    """One message, as `produce` takes it."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class ManifestFile(NamedTuple):
    """One file of a run."""

    path: bytes  # relative to the directory that is uploaded, "/"-separated, as the keys of its chunks
    size: int  # bytes
    mtime_ns: int  # ns since 1970-01-01 UTC, may be negative
    xxh3_128: str  # of its bytes, 32 hex digits
    sha256: str = ""  # of its bytes, 64 hex digits; "" if it was not computed

    @property
    def version(self) -> FileVersion:
        """The version of the file that belongs to the run."""
        return FileVersion(self.path, self.size, self.mtime_ns)

    def encode(self) -> bytes:
        """Return the file as JSON."""
        sha256 = f',"sha256":"{self.sha256}"' if self.sha256 else ""
        return b'{"path":%s,%s,"xxh3_128":"%s"%s}' % (
            json_text(decoded_path(self.path)),
            _numbers(self.version),
            self.xxh3_128.encode(),
            sha256.encode(),
        )


class ManifestHead(NamedTuple):
    """What is the same in all parts of a manifest."""

    topic: str  # that the files were sent to
    run: bytes  # path of the folder; b"" for the directory itself
    marker: FileVersion  # the file that sealed the run: it is sent after the manifest, and not one of its files
    host: str  # that it was sent from
    dfud: str  # version of the program
    time: str  # when it was made: ISO 8601, UTC, with microseconds, as `time_text` returns it
    n_files: int
    n_bytes: int  # of all files together


class Manifest(NamedTuple):
    """All of a manifest."""

    id: str  # 32 hex digits; the same for the same files, marker and metadata
    head: ManifestHead
    metadata: Metadata  # what a file in the run says of it; None if there is none
    files: tuple[ManifestFile, ...]  # in the order of their paths


class ManifestPart(NamedTuple):
    """One message of a manifest."""

    id: str
    number: int  # 1-based
    n_parts: int
    head: ManifestHead
    metadata: Metadata  # in the first part only
    files: tuple[ManifestFile, ...]

    @classmethod
    def decode(cls, key: bytes | None, value: bytes | None, headers: RawHeaders) -> ManifestPart:
        """Read a message for which `is_manifest` is true; ValueError, which says why, if it cannot be used.

        Fields that are not known are ignored. No more memory is taken than a few times the length of the value.
        """
        named = dict(headers)
        if len(named) != len(headers) and any(
            [name for name, _ in headers].count(each) > 1 for each in (_KIND, _ID, _PART, _XXH3_64)
        ):
            raise ValueError("it has a header twice")
        kind = named.get(_KIND) or b""
        if kind != b"%d" % FORMAT:
            raise ValueError(f"it has format {kind[:20]!r} of manifests, and this dfud knows format {FORMAT}")
        if key is None or value is None or len(value) > MAX_PART_BYTES:
            raise ValueError(f"it has no key, no value, or more than {MAX_PART_BYTES:,} bytes")
        if named.get(_XXH3_64) != xxhash.xxh3_64_hexdigest(value).encode():
            raise ValueError(f"its value does not match its {_XXH3_64}")
        number, n_parts = _parse_part(named.get(_PART) or b"")
        fields = load_json(value)
        if not isinstance(fields, dict):
            raise ValueError("its value is not a JSON object")
        same = (fields.get("manifest"), fields.get("part"), fields.get("parts"))
        if same != (FORMAT, number, n_parts) or not all(type(each) is int for each in same):
            raise ValueError("its value does not say what its headers do")
        manifest_id = take_text(fields, "id", XXH3_128)
        if named.get(_ID) != manifest_id.encode():
            raise ValueError(f"its {_ID} does not match its value")
        head = _take_head(fields)
        if key != (head.run or TOP):
            raise ValueError("its value is about another folder than its key")
        metadata = fields.get("metadata")
        if metadata is not None and (number != 1 or not isinstance(metadata, dict)):
            raise ValueError("its metadata is not a JSON object in the first part")
        return cls(manifest_id, number, n_parts, head, metadata, tuple(_take_files(fields, head)))


def is_manifest(headers: RawHeaders | None) -> bool:
    """Return whether a message claims to be of a manifest."""
    return headers is not None and any(name == _KIND for name, _ in headers)


def encode_manifest(
    head: ManifestHead, metadata: Metadata, files: Iterable[ManifestFile], max_bytes: int
) -> Iterator[ManifestMessage]:
    """Yield the messages of a manifest, whose `files` must be in the order of their paths.

    A value is at most `max_bytes` long, unless it is of one file. Equal files make an equal id, so that a manifest
    that is sent twice is the same one.
    """
    about = b"" if metadata is None else metadata_text(metadata)
    key = head.run or TOP
    fields = b'"topic":"%s","run":%s,"marker":{"path":%s,%s},"n_files":%d,"n_bytes":%d,"host":%s,%s' % (
        head.topic.encode(),
        json_text(decoded_path(key)),
        json_text(decoded_path(head.marker.path)),
        _numbers(head.marker),
        head.n_files,
        head.n_bytes,
        json_text(head.host),
        b'"dfud":%s,"time":"%s"' % (json_text(head.dfud), head.time.encode()),
    )
    identity = _Identity(head, about)
    parts: list[bytes] = []
    entries: list[bytes] = []
    room = max_bytes - len(fields) - len(about) - 150
    used = 0
    for file in files:
        entry = file.encode()
        identity.add(file)
        if entries and used + len(entry) >= room:
            parts.append(b",".join(entries))
            entries, used = [], 0
        entries.append(entry)
        used += len(entry) + 1
    parts.append(b",".join(entries))
    manifest_id = identity.hexdigest()
    for number, part in enumerate(parts, 1):
        meta = b',"metadata":' + about if about and number == 1 else b""
        value = b'{"manifest":%d,"id":"%s","part":%d,"parts":%d,%s%s,"files":[%s]}' % (
            FORMAT,
            manifest_id.encode(),
            number,
            len(parts),
            fields,
            meta,
            part,
        )
        headers = [
            (_KIND, b"%d" % FORMAT),
            (_ID, manifest_id.encode()),
            (_PART, b"%d/%d" % (number, len(parts))),
            (_XXH3_64, xxhash.xxh3_64_hexdigest(value).encode()),
        ]
        yield ManifestMessage(key, value, headers)


def parse_metadata(text: bytes) -> dict[str, Any]:
    """Return what a file says of a run; ValueError if that is no JSON object, or is too long for a manifest."""
    if len(text) > MAX_METADATA_BYTES:
        raise ValueError(f"it is longer than {MAX_METADATA_BYTES:,} bytes")
    metadata = load_json(text)
    if not isinstance(metadata, dict):
        raise ValueError("it is not a JSON object")
    metadata_text(metadata)
    return metadata


def metadata_text(metadata: dict[str, Any]) -> bytes:
    """Return metadata as JSON, in one way only; ValueError if that is not possible, as of 1e999."""
    try:
        return json.dumps(metadata, separators=(",", ":"), sort_keys=True, allow_nan=False).encode()
    except (ValueError, RecursionError):
        raise ValueError("it has an infinite number, or is nested too deeply") from None


class _Identity:
    """Computes the id of a manifest: the digest of what it says, but for where and when it was made."""

    def __init__(self, head: ManifestHead, metadata: bytes) -> None:
        self._hash = xxhash.xxh3_128(b"%s\0%s\0%s\0" % (head.run, head.marker.upload_id(), metadata))

    def add(self, file: ManifestFile) -> None:
        self._hash.update(b"%s %s %s\n" % (file.version.upload_id(), file.xxh3_128.encode(), file.sha256.encode()))

    def hexdigest(self) -> str:
        return self._hash.hexdigest()


def manifest_of(parts: Sequence[ManifestPart]) -> Manifest:
    """Return the manifest that all its `parts`, in their order, make up; ValueError if they contradict it."""
    first = parts[0]
    files = tuple(file for part in parts for file in part.files)
    if len(files) != first.head.n_files or sum(file.size for file in files) != first.head.n_bytes:
        raise ValueError("its numbers of files and bytes are not those of its parts")
    if any(file.path >= later.path for file, later in zip(files, files[1:])):
        raise ValueError("its files are not in the order of their paths")
    identity = _Identity(first.head, b"" if first.metadata is None else metadata_text(first.metadata))
    for file in files:
        identity.add(file)
    if identity.hexdigest() != first.id:
        raise ValueError("its id is not that of its files")
    return Manifest(first.id, first.head, first.metadata, files)


def _numbers(version: FileVersion) -> bytes:
    return b'"size":%d,"mtime_ns":%d,"upload_id":"%s"' % (version.size, version.mtime_ns, version.upload_id())


def _parse_part(text: bytes) -> tuple[int, int]:
    first, _, last = text.partition(b"/")
    if not (_NUMBER.fullmatch(first) and _NUMBER.fullmatch(last) and int(first) <= int(last) <= MAX_PARTS):
        raise ValueError(f"its {_PART} is not i/n")
    return int(first), int(last)


def _take_head(fields: Mapping[str, Any]) -> ManifestHead:
    run = b"" if fields.get("run") == TOP.decode() else take_path(fields.get("run"), "run")
    about = fields.get("marker")
    if not isinstance(about, dict):
        raise ValueError("its marker is not a JSON object")
    marker = _take_version(about)
    if marker.path.rpartition(b"/")[0] != run:
        raise ValueError("its marker is not in the folder of the run")
    return ManifestHead(
        take_text(fields, "topic", TOPIC),
        run,
        marker,
        take_text(fields, "host", _LINE),
        take_text(fields, "dfud", _LINE),
        take_time(fields),
        take_number(fields, "n_files", 0),
        take_number(fields, "n_bytes", 0),
    )


def _take_files(fields: Mapping[str, Any], head: ManifestHead) -> Iterator[ManifestFile]:
    files = fields.get("files")
    if not isinstance(files, list):
        raise ValueError("its files are not a JSON array")
    above = head.run + b"/" if head.run else b""
    for each in files:
        if not isinstance(each, dict):
            raise ValueError("one of its files is not a JSON object")
        path, size, mtime_ns = _take_version(each)
        if not path.startswith(above) or path == head.marker.path:
            raise ValueError("one of its files is not below its run, or is its marker")
        sha256 = take_text(each, "sha256", SHA256) if "sha256" in each else ""
        yield ManifestFile(path, size, mtime_ns, take_text(each, "xxh3_128", XXH3_128), sha256)


def _take_version(fields: Mapping[str, Any]) -> FileVersion:
    version = FileVersion(take_path(fields.get("path")), take_number(fields, "size", 0), take_mtime(fields))
    if fields.get("upload_id") != version.upload_id().decode():
        raise ValueError("an upload_id does not match its path, size and mtime_ns")
    return version
