"""Manifests: what is sent is what is read, whatever the names; nothing else is believed."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from typing import Any

import pytest
import xxhash
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.chunk import ForeignMessageError
from dfud.core.decode import read_chunk
from dfud.core.json_fields import time_text
from dfud.core.manifest import (
    MAX_PART_BYTES,
    Manifest,
    ManifestFile,
    ManifestHead,
    ManifestMessage,
    ManifestPart,
    Metadata,
    encode_manifest,
    is_manifest,
    parse_metadata,
)
from dfud.core.manifest_reader import ManifestReader
from dfud.core.version import FileVersion

DIGEST = "0123456789abcdef" * 2
NOW = time_text(1_772_362_800_123_456_789)
NAMES = st.binary(min_size=1, max_size=12).filter(
    lambda name: not {0, ord("/")} & set(name) and name not in (b".", b"..", b"LOGS")
)
NUMBERS = st.integers(0, 2**63 - 1)
METADATA = st.none() | st.dictionaries(st.text(max_size=5), st.text(max_size=5) | st.integers(-9, 9), max_size=3)


def make(
    run: bytes = b"run7",
    names: dict[bytes, int] | None = None,
    metadata: Metadata = None,
    max_bytes: int = 1 << 19,
    sha256: str = "",
) -> tuple[Manifest, list[ManifestMessage]]:
    """Return a manifest and its messages."""
    above = run + b"/" if run else b""
    names = {b"a.tif": 5, b"b/c.tif": 0, b"\xff\x1b": 7} if names is None else names
    files = tuple(ManifestFile(above + name, names[name], -5, DIGEST, sha256) for name in sorted(names))
    marker = FileVersion(above + b"DONE", 0, 17)
    head = ManifestHead("T", run, marker, "host", "0.1", NOW, len(files), sum(names.values()))
    messages = list(encode_manifest(head, metadata, files, max_bytes))
    return Manifest(dict(messages[0].headers)["manifest_id"].decode(), head, metadata, files), messages


def altered(message: ManifestMessage, change: Callable[[dict[str, Any]], object]) -> ManifestMessage:
    """Return a message with another value, and the digest of that."""
    fields = json.loads(message.value)
    change(fields)
    value = json.dumps(fields).encode()
    headers = {**dict(message.headers), "manifest_xxh3_64": xxhash.xxh3_64_hexdigest(value).encode()}
    return ManifestMessage(message.key, value, list(headers.items()))


@given(
    run=st.lists(NAMES, max_size=3).map(b"/".join),
    names=st.dictionaries(NAMES.map(lambda name: b"x" + name), st.integers(0, 2**40), max_size=20),
    metadata=METADATA,
    max_bytes=st.integers(1, 3_000),
    order=st.randoms(use_true_random=False),
)
def test_what_is_sent_is_read_in_any_order(
    run: bytes, names: dict[bytes, int], metadata: Metadata, max_bytes: int, order: random.Random
) -> None:
    manifest, messages = make(run, names, metadata, max_bytes)
    _, others = make(b"other", {b"x" + b"%d" % number: 1 for number in range(9)}, None, 1)
    shuffled = [*messages, *others[1:], messages[0]]
    order.shuffle(shuffled)
    reader = ManifestReader()
    read = [reader.add(*message) for message in shuffled]
    assert next(each for each in read if each is not None) == manifest
    assert all(each in (None, manifest) for each in read)


@given(run=NAMES, names=st.dictionaries(NAMES.map(lambda name: b"x" + name), NUMBERS, max_size=3))
def test_it_is_json_for_anyone_and_no_chunk_for_readers_of_files(run: bytes, names: dict[bytes, int]) -> None:
    _, messages = make(run, names)
    for message in messages:
        assert json.loads(message.value.decode())["manifest"] == 1
        assert is_manifest(message.headers)
        with pytest.raises(ForeignMessageError):
            read_chunk(message.key, message.value, message.headers)


def test_the_messages_are_as_documented() -> None:
    _, messages = make(b"", {b"a": 3}, {"sample": "A7"}, sha256="0" * 64)
    (message,) = messages
    assert message.key == b"."
    upload_id = FileVersion(b"a", 3, -5).upload_id().decode()
    marker_id = FileVersion(b"DONE", 0, 17).upload_id().decode()
    fields = json.loads(message.value)
    assert fields.pop("id") == dict(message.headers)["manifest_id"].decode()
    assert fields == {
        "manifest": 1,
        "part": 1,
        "parts": 1,
        "topic": "T",
        "run": ".",
        "marker": {"path": "DONE", "size": 0, "mtime_ns": 17, "upload_id": marker_id},
        "n_files": 1,
        "n_bytes": 3,
        "host": "host",
        "dfud": "0.1",
        "time": NOW,
        "metadata": {"sample": "A7"},
        "files": [
            {
                "path": "a",
                "size": 3,
                "mtime_ns": -5,
                "upload_id": upload_id,
                "xxh3_128": DIGEST,
                "sha256": "0" * 64,
            }
        ],
    }
    assert [name for name, _ in message.headers] == [
        "manifest",
        "manifest_id",
        "manifest_part",
        "manifest_xxh3_64",
    ]


def test_parts_are_bounded_and_equal_files_have_an_equal_id() -> None:
    names = {b"f%06d" % number: number for number in range(2_000)}
    manifest, messages = make(names=names, max_bytes=100_000)
    assert 1 < len(messages) < 10
    assert max(len(message.value) for message in messages) <= 100_000
    assert make(names=names)[0].id == manifest.id  # in one part
    assert make(names=names, metadata={"sample": "A7"})[0].id != manifest.id
    assert make(names={**names, b"f000003": 4})[0].id != manifest.id


def test_a_manifest_that_is_sent_again_in_other_parts_replaces_what_is_incomplete() -> None:
    names = {b"f%d" % number: number for number in range(9)}
    _, small = make(names=names, max_bytes=1)
    manifest, large = make(names=names, max_bytes=1_100)
    reader = ManifestReader()
    assert len(large) > 1
    assert [reader.add(*message) for message in [*small[:-1], *large]] == [None] * (
        len(small) + len(large) - 2
    ) + [manifest]


def test_what_is_held_is_bounded() -> None:
    reader = ManifestReader(max_bytes=2_000)
    incomplete = [make(b"run%d" % number, {b"a": 1, b"b": 2}, max_bytes=1)[1] for number in range(50)]
    for messages in incomplete:
        assert reader.add(*messages[0]) is None
    assert reader.add(*incomplete[0][1]) is None  # its other part was dropped
    manifest = reader.add(*incomplete[-1][1])
    assert manifest is not None
    assert manifest.head.run == b"run49"


CHANGES: dict[str, tuple[Callable[[dict[str, Any]], object], str]] = {
    "format": (lambda fields: fields.update(manifest=2), "what its headers do"),
    "bool": (lambda fields: fields.update(part=True), "what its headers do"),
    "run": (lambda fields: fields.update(run="run8"), "marker is not in the folder|another folder"),
    "outside": (lambda fields: fields["files"][0].update(path="../x"), "not allowed"),
    "LOGS": (lambda fields: fields["files"][0].update(path="LOGS/x"), "not allowed"),
    "surrogate": (lambda fields: fields["files"][0].update(path="run7/\ud800"), "not one"),
    "size": (lambda fields: fields["files"][0].update(size=6), "upload_id"),
    "huge": (lambda fields: fields["files"][0].update(size=1 << 63), "size"),
    "number": (lambda fields: fields["files"][0].update(size=10**30), "not JSON"),
    "digest": (lambda fields: fields["files"][0].update(xxh3_128="x"), "xxh3_128"),
    "other digest": (lambda fields: fields["files"][0].update(xxh3_128="0" * 32), "id is not that"),
    "missing": (lambda fields: fields["files"].pop(), "numbers of files"),
    "twice": (lambda fields: fields["files"].__setitem__(1, fields["files"][0]), "numbers|order"),
    "order": (lambda fields: fields["files"].reverse(), "order"),
    "no files": (lambda fields: fields.pop("files"), "array"),
    "time": (lambda fields: fields.update(time="2026-99-01T11:00:00.123456+00:00"), "time"),
    "host": (lambda fields: fields.update(host="\x1b[2J"), "host"),
    "metadata": (lambda fields: fields.update(metadata=[]), "metadata"),
    "other metadata": (lambda fields: fields.update(metadata={"a": float("inf")}), "not JSON"),
    "marker": (lambda fields: fields.update(marker=fields["files"][0]), "marker"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_what_is_not_true_is_refused(name: str) -> None:
    change, why = CHANGES[name]
    _, (message,) = make()
    with pytest.raises(ValueError, match=why) as raised:
        ManifestReader().add(*altered(message, change))
    assert str(raised.value).isprintable()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("manifest", b"2"),
        ("manifest_part", b"0/1"),
        ("manifest_part", b"1/9999999"),
        ("manifest_part", b"2/1"),
        ("manifest_id", b"0" * 32),
        ("manifest_xxh3_64", b"0" * 16),
        ("manifest_part", None),
    ],
)
def test_headers_that_do_not_fit_are_refused(name: str, value: bytes | None) -> None:
    _, (message,) = make()
    with pytest.raises(ValueError, match=r"^it"):
        ManifestPart.decode(message.key, message.value, list({**dict(message.headers), name: value}.items()))
    with pytest.raises(ValueError, match="twice"):
        ManifestPart.decode(message.key, message.value, [*message.headers, (name, value)])


@given(value=st.binary(max_size=50) | st.just(b"[" * 100_000) | st.just(b" " * (MAX_PART_BYTES + 1)))
def test_nothing_but_a_refusal_comes_of_any_other_value(value: bytes) -> None:
    _, (message,) = make()
    digest = xxhash.xxh3_64_hexdigest(value).encode()
    with pytest.raises(ValueError, match=r"^it"):
        ManifestPart.decode(message.key, value, [*message.headers[:3], ("manifest_xxh3_64", digest)])


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[]",
        b"{",
        b'{"a": NaN}',
        b'{"a": 1e999}',
        b"{" * 50_000,
        b'{"a":' * 50_000,
        b'{"a": "%s"}' % (b"x" * 70_000),
    ],
)
def test_what_is_no_metadata(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"^it"):
        parse_metadata(text)


def test_metadata() -> None:
    assert parse_metadata(b'{"user": "Zo\xc3\xab", "n": [1.5, null]}') == {"user": "Zoë", "n": [1.5, None]}
