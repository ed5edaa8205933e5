"""The messages of OpenMSIStream, against the msgspec library and a description of its own."""

from __future__ import annotations

import hashlib
import os

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dfud.core.chunk import SHA512, BadMessageError, Chunk, ForeignMessageError
from dfud.core.chunking import chunk_length, count_chunks
from dfud.core.openmsistream import decode, encoder, message_key, mtime_seconds
from dfud.core.version import FileVersion

names = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=90)
folders = (
    st.lists(names, max_size=4).map("/".join).filter(lambda folder: folder != ".")
)  # which it writes for none
times = st.integers(-(10**18), 4 * 10**18)


def sha512(data: bytes) -> bytes:
    return hashlib.sha512(data).digest()


def message(**changed: object) -> list[object]:
    """Return the items of a valid message, some of them changed."""
    items: dict[str, object] = {
        "name": "a.tif",
        "file_sha512": sha512(b"all"),
        "sha512": sha512(b"data"),
        "offset": 16384,
        "number": 2,
        "n_chunks": 3,
        "folder": "scans/day 1",
        "append": "",
        "data": b"data",
        "mtime": 1.5,
    }
    assert set(changed) <= set(items)
    return list({**items, **changed}.values())


def packed(**changed: object) -> bytes:
    return msgspec.msgpack.encode(message(**changed))


@given(folders, names, times, st.integers(0, 300), st.integers(0, 6), st.integers(0, 1 << 40))
@example("", "n" * 255, 0, 0, 0, 0)
@example("f" * 4000, "n", 1, 256, 0, 0)
@example("", "n", 1, 300, 6, 1 << 33)
def test_encodes_as_the_library_does_and_reads_it_back(
    folder: str, name: str, mtime_ns: int, length: int, power: int, rest: int
) -> None:
    path = os.path.join(folder, name).encode()
    chunk_size = 1 << power
    size = max(length, rest)
    version = FileVersion(path, size, mtime_ns)
    n_chunks = count_chunks(size, chunk_size)
    for number in {1, n_chunks, (n_chunks + 1) // 2}:
        data = os.urandom(chunk_length(number, size, chunk_size))
        value = encoder(version, chunk_size, sha512(b"all"))(number, sha512(data), data)
        offset = (number - 1) * chunk_size
        seconds = mtime_seconds(mtime_ns)
        expected = [name, sha512(b"all"), sha512(data), offset, number, n_chunks, folder, "", data, seconds]
        assert value == msgspec.msgpack.encode(expected)
        assert decode(value) == Chunk(
            path,
            size if number == n_chunks else None,
            round(seconds * 1e9) or None,
            number,
            n_chunks,
            offset,
            SHA512,
            sha512(b"all").hex(),
            data,
        )


@pytest.mark.parametrize("length", [0, 255, 256, 65535, 65536])
def test_every_form_of_length_is_the_library_s(length: int) -> None:
    data = bytes(length)
    value = encoder(FileVersion(b"a", length, 0), 1 << 17, sha512(data))(1, sha512(data), data)
    assert value == msgspec.msgpack.encode(["a", sha512(data), sha512(data), 0, 1, 1, "", "", data, 0.0])


@pytest.mark.parametrize("power", [7, 8, 16, 32])
@pytest.mark.parametrize("number", [0, 1])
def test_every_form_of_integer_is_the_library_s(power: int, number: int) -> None:
    number += 1 << power
    value = encoder(FileVersion(b"a", number, 0), 1, sha512(b"all"))(number, sha512(b"x"), b"x")
    items = ["a", sha512(b"all"), sha512(b"x"), number - 1, number, number, "", "", b"x", 0.0]
    assert value == msgspec.msgpack.encode(items)


@pytest.mark.parametrize("length", [1, 31, 32, 33, 255, 256, 257, 511, 512, 4000])
def test_every_form_of_text_is_the_library_s(length: int) -> None:
    folder = "f" * length
    value = encoder(FileVersion(f"{folder}/a".encode(), 1, 0), 1, sha512(b"x"))(1, sha512(b"x"), b"x")
    assert value == msgspec.msgpack.encode(["a", sha512(b"x"), sha512(b"x"), 0, 1, 1, folder, "", b"x", 0.0])


@given(times)
@example(1_700_000_000_123_456_789)
@example(-1)
def test_mtime_is_that_of_stat(tmp_path_factory: pytest.TempPathFactory, mtime_ns: int) -> None:
    path = tmp_path_factory.getbasetemp() / "mtime"
    path.touch()
    os.utime(path, ns=(mtime_ns, mtime_ns))
    found = path.stat()
    assert mtime_seconds(found.st_mtime_ns) == found.st_mtime


@pytest.mark.parametrize(
    ("path", "key"),
    [
        pytest.param(b"a.tif", b"_a.tif_chunk_2_of_3", id="at the top"),
        pytest.param(b"scans/day_1/a.tif", b"scans_day_1_a.tif_chunk_2_of_3", id="in folders"),
        pytest.param(b"caf\xe9/\xff", b"caf\xe9_\xff_chunk_2_of_3", id="no UTF-8"),
    ],
)
def test_key(path: bytes, key: bytes) -> None:
    assert message_key(path, 2, 3) == key


def test_reads_what_older_versions_send() -> None:
    chunk = decode(msgspec.msgpack.encode(message()[:9]))
    assert chunk == Chunk(b"scans/day 1/a.tif", None, None, 2, 3, 16384, SHA512, sha512(b"all").hex(), b"data")


@pytest.mark.parametrize(
    ("name", "append", "expected"),
    [
        ("a.tif", "_reduced", b"a_reduced.tif"),
        ("a.b.tif", "_r", b"a.b_r.tif"),
        ("a", "_r", b"a_r"),
        (".hidden", "_r", b".hidden_r"),
        ("a.", "_r", b"a._r"),
    ],
)
def test_appended_text_follows_the_stem(name: str, append: str, expected: bytes) -> None:
    assert decode(packed(name=name, append=append, folder="")).path == expected


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"data": b"DATA"}, r"^the data does not match its SHA-512$", id="other data"),
        pytest.param({"sha512": b"short"}, "SHA-512", id="short digest"),
        pytest.param({"file_sha512": b"short"}, "SHA-512", id="short digest of the file"),
        pytest.param({"number": 0}, "no chunk 0 of 3", id="chunk 0"),
        pytest.param({"number": 4}, "no chunk 4 of 3", id="chunk beyond the last"),
        pytest.param(
            {"n_chunks": 1 << 63}, r"Expected `int` <= 9223372036854775807 - at `\$\[5\]`", id="2**63 chunks"
        ),
        pytest.param({"offset": -1}, r"Expected `int` >= 0 - at `\$\[3\]`", id="negative offset"),
        pytest.param({"offset": True}, r"Expected `int`, got `bool` - at `\$\[3\]`", id="offset is a truth value"),
        pytest.param({"number": 2.0}, r"Expected `int`, got `float` - at `\$\[4\]`", id="number is a float"),
        pytest.param({"mtime": float("nan")}, r"^the mtime is not a time$", id="mtime is not a number"),
        pytest.param({"mtime": float("-inf")}, "mtime is not a time", id="mtime is infinite"),
        pytest.param({"mtime": None}, r"Expected `float`, got `None` - at `\$\[9\]`", id="mtime is nil"),
        pytest.param({"name": 5}, r"Expected `str`, got `int` - at `\$\[0\]`", id="name is a number"),
        pytest.param({"folder": b"f"}, r"Expected `str`, got `bytes` - at `\$\[6\]`", id="folder is bytes"),
        pytest.param({"data": "data"}, r"Expected `bytes`, got `str` - at `\$\[8\]`", id="data is text"),
        pytest.param({"data": [1]}, r"Expected `bytes`, got `array` - at `\$\[8\]`", id="data is a list"),
        pytest.param({"data": {}}, r"Expected `bytes`, got `object` - at `\$\[8\]`", id="data is an empty map"),
        pytest.param({"data": {1: 2}}, r"Expected `bytes`, got `object` - at `\$\[8\]`", id="data is a map"),
        pytest.param({"data": [0] * 11}, r"Expected `bytes`, got `array` - at `\$\[8\]`", id="a long list"),
    ],
)
def test_refuses_what_openmsistream_does_not_send(changed: dict[str, object], reason: str) -> None:
    with pytest.raises(ForeignMessageError, match=reason):
        decode(packed(**changed))


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        pytest.param({"offset": 0}, "chunk 2 can", id="second chunk at the start"),
        pytest.param({"number": 1}, "chunk 1 can", id="first chunk not at the start"),
        pytest.param({"data": b"", "sha512": sha512(b"")}, "empty", id="empty chunk of several"),
        pytest.param(
            {"mtime": 9.1e9}, r"^its mtime is not one that a file can have$", id="mtime beyond what files have"
        ),
        pytest.param({"mtime": -9.1e9}, "mtime", id="mtime before what files have"),
        pytest.param({"mtime": (1 << 64) - 1}, "mtime", id="mtime is a huge integer"),
    ],
)
def test_refuses_a_chunk_that_contradicts_itself(changed: dict[str, object], reason: str) -> None:
    with pytest.raises(BadMessageError, match=reason):
        decode(packed(**changed))


def test_an_mtime_may_be_a_whole_number() -> None:
    assert decode(packed(mtime=9_000_000_000)).mtime_ns == 9 * 10**18
    assert decode(packed(mtime=-9_000_000_000)).mtime_ns == -9 * 10**18


def test_a_folder_of_one_dot_is_the_top() -> None:
    assert decode(packed(folder=".")).path == b"a.tif"


NOT_UTF_8 = packed().replace(b"\xa5a.tif", b"\xa5\xff.tif")


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        pytest.param(b"", "truncated", id="empty"),
        pytest.param(b"\x05", "Expected `array`, got `int`", id="a number"),
        pytest.param(packed()[:-1], "truncated", id="cut off"),
        pytest.param(packed() + b"\0", "trailing characters", id="more behind"),
        pytest.param(msgspec.msgpack.encode(message()[:8]), "Expected `array` of at least length 9", id="8 items"),
        pytest.param(
            msgspec.msgpack.encode([*message(), 0]), "Expected `array` of at most length 10", id="11 items"
        ),
        pytest.param(b"\xdd\x7f\xff\xff\xff" * 100_000, r"got `array` - at `\$\[0\]`", id="lists of two billion"),
        pytest.param(b"\xc6\xff\xff\xff\xff", "truncated", id="four billion bytes not there"),
        pytest.param(b"\x91" * 100_000, "Expected `array` of at least length 9", id="deep"),
        pytest.param(b"\x9a" + b"\x91" * 100_000, r"got `array` - at `\$\[0\]`", id="deep in an item"),
        pytest.param(b"\xc1", "malformed", id="a byte that MessagePack never uses"),
        pytest.param(b"\x9a" + b"\xd6\xff\0\0\0\0" * 10, r"got `ext` - at `\$\[0\]`", id="timestamps"),
        pytest.param(NOT_UTF_8, "(?i)utf-?8", id="name is not UTF-8"),
    ],
)
def test_refuses_what_is_not_such_an_array(value: bytes, reason: str) -> None:
    with pytest.raises(ForeignMessageError, match=reason):
        decode(value)


@given(st.binary(max_size=300) | st.binary(max_size=100).map(lambda tail: packed()[:-60] + tail))
def test_any_bytes_are_a_chunk_or_a_clear_refusal(value: bytes) -> None:
    try:
        chunk = decode(value)
    except (BadMessageError, ForeignMessageError):  # and nothing else
        return
    assert 1 <= chunk.number <= chunk.n_chunks


@given(st.data())
def test_one_changed_byte_is_never_other_data(data: st.DataObject) -> None:
    value = bytearray(packed())
    at = data.draw(st.integers(0, len(value) - 1))
    value[at] ^= data.draw(st.integers(1, 255))
    try:
        chunk = decode(bytes(value))
    except (BadMessageError, ForeignMessageError):
        return
    assert chunk.data == b"data"
