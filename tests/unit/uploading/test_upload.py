"""What a producer knows of one file that it uploads."""

from __future__ import annotations

from typing import Any

import xxhash

from dfud.core.version import FileVersion
from dfud.messages import FileStart, Ranges
from dfud.uploading.upload import Upload
from dfud.uploading.wire import KafkaMessageParts, NativeMessages


def message(upload: Upload, number: int, data: bytes, digest: bytes) -> KafkaMessageParts:
    return upload.messages.message(number, data, digest, upload.xxh3_128)


def upload(size: int, delivered: Ranges = ()) -> Upload:
    start = FileStart(1, FileVersion(b"a/\xff", size, 5), 10, delivered, "then", b"")
    return Upload(start, NativeMessages(start))


def test_it_is_complete_with_all_chunks_and_the_digest() -> None:
    one = upload(25, ((2, 2),))
    assert one.n_chunks == 3
    one.on_acked(1, 1)
    one.on_acked(3, 3)
    assert not one.is_complete
    one.xxh3_128 = "d" * 32
    assert one.is_complete
    other = upload(25, ((1, 2),))
    other.xxh3_128 = "d" * 32
    assert not other.is_complete


def headers(parts: KafkaMessageParts) -> dict[str, Any]:
    return dict(parts[2] or [])


def test_only_the_last_chunk_carries_the_digest_of_the_file() -> None:
    one = upload(25)
    one.xxh3_128 = "d" * 32
    value, key, _ = message(one, 2, b"x" * 10, b"0" * 16)
    assert (value, key) == (b"x" * 10, b"a/\xff")
    first = headers(message(one, 2, b"", b"0" * 16))
    assert list(first) == ["upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64"]
    assert headers(message(one, 3, b"", b""))["xxh3_128"] == b"d" * 32
    empty = upload(0)
    empty.xxh3_128 = "e" * 32
    last = headers(message(empty, 1, b"", b""))
    assert (last["chunk"], last["xxh3_128"]) == (b"1/1", b"e" * 32)


def test_a_rebuilt_message_is_the_same() -> None:
    one = upload(25)
    one.xxh3_128 = "d" * 32
    data = b"x" * 5
    digest = xxhash.xxh3_64_hexdigest(data).encode()
    assert one.messages.rebuild(3, data, one.xxh3_128) == message(one, 3, data, digest)


def test_its_row_keeps_the_bytes_of_the_path() -> None:
    one = upload(25)
    one.xxh3_128 = "d" * 32
    assert one.row("now") == b"a/\xff,25,5,3,10,%b,then,now\r\n" % (b"d" * 32)


def test_it_is_complete_once_all_chunks_are_acknowledged_at_once() -> None:
    for one in (upload(25), upload(25, ((2, 2),))):
        one.xxh3_128 = "d" * 32
        one.on_acked(2, 3)
        assert not one.is_complete
        one.on_acked(1, 3)
        assert one.is_complete
