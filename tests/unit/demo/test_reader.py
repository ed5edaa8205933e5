"""The independent reader, with hand-made messages."""

from __future__ import annotations

import subprocess
import sys
from unittest.mock import Mock

import pytest
import xxhash
from confluent_kafka import KafkaError, KafkaException

from dfud.demo.reader import Message, NotAsDescribedError, read_topic, rebuild

KEY, DATA, SIZE = b"sub/\xff name.bin", b"abcdefgh12", 4


def messages(**changed: bytes) -> list[Message]:
    """Return DATA in chunks of SIZE bytes, with headers changed in each."""
    parts = [DATA[start : start + SIZE] for start in range(0, len(DATA), SIZE)]
    made = []
    for number, part in enumerate(parts, 1):
        headers = {
            "upload_id": xxhash.xxh3_64_hexdigest(KEY + b"\0%d\0%d" % (len(DATA), 12345)).encode(),
            "chunk": b"%d/%d" % (number, len(parts)),
            "offset": b"%d" % ((number - 1) * SIZE),
            "size": b"%d" % len(DATA),
            "mtime_ns": b"12345",
            "xxh3_64": xxhash.xxh3_64_hexdigest(part).encode(),
        }
        if number == len(parts):
            headers["xxh3_128"] = xxhash.xxh3_128_hexdigest(DATA).encode()
        made.append(Message(KEY, part, {**headers, **changed}, 2, number))
    return made


def test_a_file_is_rebuilt_and_its_duplicates_are_counted() -> None:
    ((file,),) = (versions.values() for versions in rebuild([*messages(), *messages()[1:]]).values())
    assert (file.key, file.data, file.complete, file.duplicates) == (KEY, DATA, True, 2)
    assert file.order == [1, 2, 3, 2, 3]


def test_a_file_without_one_of_its_chunks_is_incomplete() -> None:
    for missing in range(3):
        some = messages()
        del some[missing]
        ((file,),) = (versions.values() for versions in rebuild(some).values())
        assert not file.complete


@pytest.mark.parametrize(
    ("changed", "contradiction"),
    [
        pytest.param({"xxh3_64": b"0" * 16}, "xxh3_64", id="digest-of-a-chunk"),
        pytest.param({"upload_id": b"0" * 16}, "upload_id", id="upload-id"),
        pytest.param({"mtime_ns": b"12346"}, "upload_id", id="mtime"),
        pytest.param({"offset": b"1"}, "chunk 1 ends at 5", id="offset"),
        pytest.param({"xxh3_128": b"0" * 32}, "only the last chunk", id="file-digest-too-early"),
    ],
)
def test_a_wrong_header_is_an_error(changed: dict[str, bytes], contradiction: str) -> None:
    with pytest.raises(NotAsDescribedError, match=contradiction):
        rebuild(messages(**changed))


def test_different_bytes_of_a_chunk_are_an_error() -> None:
    first, *rest = messages()
    with pytest.raises(NotAsDescribedError, match="xxh3_64"):
        rebuild([first._replace(value=b"abcX"), *rest])
    with pytest.raises(NotAsDescribedError, match="null"):
        rebuild([first._replace(value=None), *rest])


def test_another_programs_messages_are_skipped() -> None:
    foreign = [Message(b"", None, {}, 0, 0), Message(KEY, b"x", {"header": b"x"}, 1, 0)]
    ((file,),) = (versions.values() for versions in rebuild([*foreign, *messages()]).values())
    assert file.complete


def test_a_file_in_two_partitions_is_an_error() -> None:
    first, *rest = messages()
    with pytest.raises(NotAsDescribedError, match=r"in partitions \[1, 2\]"):
        rebuild([first._replace(partition=1), *rest])


@pytest.mark.parametrize("missing", ["upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64"])
def test_a_missing_header_is_an_error(missing: str) -> None:
    first, *rest = messages()
    headers = {name: value for name, value in first.headers.items() if name != missing}
    with pytest.raises(NotAsDescribedError, match=missing):
        rebuild([first._replace(headers=headers), *rest])


def test_it_shares_no_code_with_the_uploader() -> None:
    program = "import sys, dfud.demo.reader; print(*sorted(n for n in sys.modules if n.split('.')[0] == 'dfud'))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["dfud", "dfud.demo", "dfud.demo.reader"]


def test_a_partition_that_has_no_leader_yet_is_asked_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    answers = [KafkaError(KafkaError.NOT_LEADER_FOR_PARTITION), KafkaError(KafkaError.LEADER_NOT_AVAILABLE), None]
    client = Mock()
    client.list_topics.return_value.topics = {"topic": Mock(error=None, partitions=[0])}
    client.get_watermark_offsets.side_effect = [
        (0, 0) if error is None else KafkaException(error) for error in answers
    ]
    monkeypatch.setattr("dfud.demo.reader.Consumer", lambda _: client)
    assert read_topic("broker", "topic") == []
    client.get_watermark_offsets.side_effect = KafkaException(KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED))
    with pytest.raises(KafkaException, match="TOPIC_AUTHORIZATION_FAILED"):
        read_topic("broker", "topic")
