"""Reading files into the ring: real files, and injected errors where a bad disk is needed."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfud.core.chunking import count_chunks
from dfud.core.version import FileStamp, FileVersion
from dfud.files.openat import is_being_written, open_regular_file
from dfud.messages import FileTask, Ranges, RunReady
from dfud.uploading import file_reader
from dfud.uploading.file_reader import FileReader, VersionChangedError
from dfud.uploading.hash_first_reader import HashFirstReader
from dfud.uploading.ring import Ring
from tests.helpers.descriptors import count_descriptors

CHUNK = 64
RUN = 4 * CHUNK
DATA = bytes(range(256)) * 5 + b"the end"  # 1287 bytes, 21 chunks
N_CHUNKS = 21


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def task_of(path: Path, to_send: Ranges | None = None, known: str = "") -> FileTask:
    status = path.stat()
    version = FileVersion(os.fsencode(path.name), status.st_size, status.st_mtime_ns)
    if to_send is None:
        to_send = ((1, max(1, -(-status.st_size // CHUNK))),)
    return FileTask(7, version, CHUNK, to_send, "now", known)


def found(path: Path) -> FileTask:
    """Return the task for a file as it was found."""
    status = path.stat()
    return msgspec.structs.replace(task_of(path), stamp=FileStamp(status.st_ctime_ns, status.st_ino))


def reserve_in(ring: Ring) -> Callable[[int], tuple[int, int]]:
    def reserve(length: int) -> tuple[int, int]:
        room = ring.reserve(length)
        assert room is not None
        return room

    return reserve


def read_all(task: FileTask, dir_fd: int, ring: Ring | None = None) -> tuple[dict[int, bytes], list[RunReady]]:
    """Return the chunks that were passed on, checked against their digests, and the runs."""
    ring = ring or Ring(4096)
    reading = FileReader(task, ring, RUN, dir_fd)
    chunks: dict[int, bytes] = {}
    runs: list[RunReady] = []
    try:
        while not (runs and runs[-1].xxh3_128):
            run = reading.step(reserve_in(ring))
            if run is None:
                continue
            runs.append(run)
            with ring.view(run.start, run.length) as view:
                content = bytes(view)
            for at in range(run.n_chunks):
                chunk = content[at * CHUNK : (at + 1) * CHUNK]
                chunks[run.first + at] = chunk
                assert run.xxh3_64[16 * at : 16 * at + 16] == xxhash.xxh3_64_hexdigest(chunk).encode()
            assert len(run.xxh3_64) == 16 * run.n_chunks
            if run.n_chunks:
                ring.free(run.end)
    finally:
        reading.close()
    return chunks, runs


def test_a_file_is_read_completely(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "file").write_bytes(DATA)
    chunks, runs = read_all(task_of(tmp_path / "file"), dir_fd)
    assert b"".join(chunks[number] for number in range(1, N_CHUNKS + 1)) == DATA
    assert [run.n_chunks for run in runs] == [4, 4, 4, 4, 4, 1]
    assert [run.xxh3_128 for run in runs] == [""] * 5 + [xxhash.xxh3_128_hexdigest(DATA)]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50, deadline=None)
@given(st.integers(0, 700), st.sets(st.integers(1, 11)))
def test_any_part_of_a_file_is_sent_and_all_of_it_is_hashed(
    tmp_path: Path, dir_fd: int, size: int, wanted: set[int]
) -> None:
    (tmp_path / "file").write_bytes(DATA[:size])
    n_chunks = max(1, -(-size // CHUNK))
    to_send = tuple((number, number) for number in sorted(wanted) if number <= n_chunks)
    chunks, runs = read_all(task_of(tmp_path / "file", to_send), dir_fd)
    assert chunks == {number: DATA[:size][(number - 1) * CHUNK : number * CHUNK] for number, _ in to_send}
    assert runs[-1].xxh3_128 == xxhash.xxh3_128_hexdigest(DATA[:size])


def test_an_empty_file_is_one_empty_chunk(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "file").touch()
    chunks, (run,) = read_all(task_of(tmp_path / "file"), dir_fd)
    assert chunks == {1: b""}
    assert run.xxh3_128 == xxhash.xxh3_128_hexdigest(b"")


def test_a_sparse_file_is_read_as_zeros(tmp_path: Path, dir_fd: int) -> None:
    with open(tmp_path / "file", "wb") as file:
        file.truncate(10 * CHUNK)
    chunks, _ = read_all(task_of(tmp_path / "file"), dir_fd)
    assert set(chunks.values()) == {bytes(CHUNK)}


def test_comparing_uses_no_room_in_the_ring(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "file").write_bytes(DATA)
    ring = Ring(4096)
    chunks, (run,) = read_all(task_of(tmp_path / "file", (), known="00"), dir_fd, ring)
    assert not chunks
    assert (run.n_chunks, run.length) == (0, 0)
    assert ring.used == 0


# Files that change


def begin(path: Path, dir_fd: int, ring: Ring) -> FileReader:
    """Read the first run of a file."""
    reading = FileReader(task_of(path), ring, RUN, dir_fd)
    first = reading.step(reserve_in(ring))
    assert first is not None
    ring.free(first.end)
    return reading


def read_on(reading: FileReader, ring: Ring) -> str:
    """Read to the end; return the digest of the file."""
    while True:
        run = reading.step(reserve_in(ring))
        if run is None:
            continue
        ring.free(run.end)
        if run.xxh3_128:
            return run.xxh3_128


def read_until_changed(reading: FileReader, ring: Ring) -> VersionChangedError:
    with pytest.raises(VersionChangedError) as changed:
        read_on(reading, ring)
    reading.close()
    assert ring.used == 0, "the unused reservation was not undone"
    return changed.value


def test_a_file_is_truncated_while_it_is_read(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "file").write_bytes(DATA)
    ring = Ring(RUN)
    reading = begin(tmp_path / "file", dir_fd, ring)
    os.truncate(tmp_path / "file", RUN + 10)
    changed = read_until_changed(reading, ring)
    assert changed.version.size == RUN + 10
    assert not changed.being_written


def test_a_file_grows_while_it_is_read(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "file").write_bytes(DATA)
    ring = Ring(RUN)
    reading = begin(tmp_path / "file", dir_fd, ring)
    with open(tmp_path / "file", "ab", buffering=0) as file:
        file.write(b"more")
        changed = read_until_changed(reading, ring)
    assert changed.version.size == len(DATA) + 4
    assert changed.being_written


def test_a_file_is_rewritten_in_place(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "file").write_bytes(DATA)
    os.utime(tmp_path / "file", (1, 1))
    ring = Ring(RUN)
    reading = begin(tmp_path / "file", dir_fd, ring)
    with open(tmp_path / "file", "r+b") as file:
        file.write(b"other")
    changed = read_until_changed(reading, ring)
    assert changed.version.size == len(DATA)
    assert changed.version.mtime_ns != 10**9


def rewrite(path: Path, at: int) -> None:
    """Change a byte of a file, and put its size and mtime back."""
    before = path.stat()
    with open(path, "r+b") as file:
        file.seek(at)
        file.write(bytes([DATA[at] ^ 1]))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    if path.stat().st_ctime_ns == before.st_ctime_ns:  # the kernel's clock may tick only every 10 ms
        touch_attributes(path)


def touch_attributes(path: Path) -> None:
    """Change the ctime of a file, and nothing else."""
    before = path.stat().st_ctime_ns
    while path.stat().st_ctime_ns == before:
        path.chmod(0o600)


@pytest.mark.parametrize("at", [0, len(DATA) - 1])
def test_a_file_is_rewritten_and_its_time_put_back(tmp_path: Path, dir_fd: int, at: int) -> None:
    """The first run is that of the earlier content, and the last one that of the later."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    ring = Ring(RUN)
    reading = begin(path, dir_fd, ring)
    rewrite(path, at)
    if at == 0:
        changed = read_until_changed(reading, ring)
        assert changed.version == FileVersion(b"file", len(DATA), path.stat().st_mtime_ns)
        assert changed.stamp == FileStamp(path.stat().st_ctime_ns, path.stat().st_ino)
    else:  # nothing of it had been read before
        assert read_on(reading, ring) == xxhash.xxh3_128_hexdigest(path.read_bytes())
        reading.close()


def test_a_file_is_rewritten_during_the_second_reading(tmp_path: Path, dir_fd: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    ring = Ring(RUN)
    reading = begin(path, dir_fd, ring)
    touch_attributes(path)
    while (run := reading.step(reserve_in(ring))) is not None:
        ring.free(run.end)
    rewrite(path, len(DATA) - 1)
    read_until_changed(reading, ring)


@pytest.mark.parametrize("reader", [FileReader, HashFirstReader])
@pytest.mark.parametrize("known", ["", xxhash.xxh3_128_hexdigest(DATA)], ids=["sent", "compared"])
def test_a_file_whose_ctime_changes_all_the_time_is_read_twice_at_most(
    tmp_path: Path, dir_fd: int, known: str, reader: type[FileReader]
) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    ring = Ring(RUN)
    reading = reader(task_of(path, () if known else None, known), ring, RUN, dir_fd)
    sent, steps, digest = b"", 0, ""
    while not digest:
        touch_attributes(path)
        steps += 1
        run = reading.step(reserve_in(ring))
        if run is not None:
            sent += ring.copy(run.start, run.length)
            ring.free(run.end)
            digest = run.xxh3_128
    reading.close()
    assert digest == xxhash.xxh3_128_hexdigest(DATA)
    assert sent == (b"" if known else DATA)
    assert steps <= 2 * -(-len(DATA) // RUN)


def test_what_was_sent_before_is_of_no_use_once_the_ctime_changes(tmp_path: Path, dir_fd: int) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    ring = Ring(RUN)
    reading = FileReader(task_of(path, ((3, N_CHUNKS),)), ring, RUN, dir_fd)
    touch_attributes(path)
    changed = read_until_changed(reading, ring)
    assert changed.version == task_of(path).version
    assert changed.stamp.ctime_ns == path.stat().st_ctime_ns


@pytest.mark.parametrize(
    ("changes", "is_ready"),
    [
        ({}, True),
        ({"ctime_ns": 1}, False),
        ({"inode": 1}, False),
        ({"ctime_ns": 0}, True),
        ({"inode": 0}, True),
        ({"ctime_ns": 0, "inode": 0}, True),
    ],
)
def test_the_rest_of_a_file_is_read_only_if_it_is_the_one_of_before(
    tmp_path: Path, dir_fd: int, changes: dict[str, int], is_ready: bool
) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    stamp = FileStamp(path.stat().st_ctime_ns, path.stat().st_ino)
    task = msgspec.structs.replace(task_of(path, ((3, N_CHUNKS),)), stamp=stamp._replace(**changes))
    if is_ready:
        FileReader(task, Ring(RUN), RUN, dir_fd).close()
        return
    with pytest.raises(VersionChangedError) as changed:
        FileReader(task, Ring(RUN), RUN, dir_fd)
    assert (changed.value.version, changed.value.stamp) == (task.version, stamp)


@pytest.mark.parametrize("reader", [FileReader, HashFirstReader])
@pytest.mark.parametrize("is_rewritten", [False, True])
def test_a_small_file_whose_ctime_changes_is_read_again(
    tmp_path: Path, dir_fd: int, is_rewritten: bool, reader: type[FileReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    task, ring, preadv = found(path), Ring(4096), os.preadv
    calls: list[int] = []

    def read_and_change(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        count = preadv(descriptor, buffers, offset)
        if not calls:
            if is_rewritten:
                rewrite(path, 5)
            else:
                touch_attributes(path)
        calls.append(count)
        return count

    monkeypatch.setattr(os, "preadv", read_and_change)
    if is_rewritten:
        with pytest.raises(VersionChangedError) as changed:
            reader.read_whole(task, ring, reserve_in(ring), dir_fd)
        assert changed.value.stamp.ctime_ns == path.stat().st_ctime_ns
        assert ring.used == 0
    else:
        run = reader.read_whole(task, ring, reserve_in(ring), dir_fd)
        assert run.xxh3_128 == xxhash.xxh3_128_hexdigest(DATA)
    assert calls == [len(DATA)] * 2


@pytest.mark.parametrize("reader", [FileReader, HashFirstReader])
@pytest.mark.parametrize("is_touched", [False, True])
def test_a_small_file_with_the_stamp_of_its_task_is_read_only_once(
    tmp_path: Path, dir_fd: int, is_touched: bool, reader: type[FileReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(DATA)
    task, ring, preadv = found(path), Ring(4096), os.preadv
    if is_touched:
        touch_attributes(path)
    offsets: list[int] = []

    def counted(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        offsets.append(offset)
        return preadv(descriptor, buffers, offset)

    monkeypatch.setattr(os, "preadv", counted)
    assert reader.read_whole(task, ring, reserve_in(ring), dir_fd).xxh3_128 == xxhash.xxh3_128_hexdigest(DATA)
    assert offsets == ([0, 0] if is_touched else [0])


def test_a_file_is_replaced_or_removed_while_it_is_read(tmp_path: Path, dir_fd: int) -> None:
    """The file that was opened is read to its end: it is one consistent version."""
    (tmp_path / "file").write_bytes(DATA)
    ring = Ring(RUN)
    reading = begin(tmp_path / "file", dir_fd, ring)
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "other").rename(tmp_path / "file")  # which changes the ctime of the one that is open
    assert read_on(reading, ring) == xxhash.xxh3_128_hexdigest(DATA)
    reading.close()


def test_another_version_is_not_read(tmp_path: Path, dir_fd: int) -> None:
    (tmp_path / "file").write_bytes(DATA)
    task = task_of(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"other")
    with pytest.raises(VersionChangedError) as changed:
        FileReader(task, Ring(RUN), RUN, dir_fd)
    assert changed.value.version.size == 5


# Files that cannot be read


@pytest.mark.parametrize(
    ("pattern", "runs"),
    [("E", 0), ("rE", 1), ("rrrrrE", 5), ("ssE", 0), ("rsrE", 2), ("ssss" + "r" * 5, 6)],
)
def test_a_bad_disk(tmp_path: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch, pattern: str, runs: int) -> None:
    """Injected, one letter for each read: "r" reads, "s" reads one byte only, "E" is a disk error."""
    (tmp_path / "file").write_bytes(DATA)
    ring = Ring(RUN)
    reading = FileReader(task_of(tmp_path / "file"), ring, RUN, dir_fd)
    letters = iter(pattern)
    real = os.preadv

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        letter = next(letters, "r")
        if letter == "E":
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return real(descriptor, [buffers[0][:1]] if letter == "s" else buffers, offset)

    monkeypatch.setattr(os, "preadv", preadv)
    done = 0
    with open(os.devnull) if "E" not in pattern else pytest.raises(OSError, match="Input/output error"):
        while True:
            run = reading.step(reserve_in(ring))
            assert run is not None
            ring.free(run.end)
            done += 1
            if run.xxh3_128:
                assert run.xxh3_128 == xxhash.xxh3_128_hexdigest(DATA)
                break
    reading.close()
    assert done == runs
    assert ring.used == 0


def test_a_file_that_is_read_twice_must_be_the_same_twice(tmp_path: Path, dir_fd: int) -> None:
    """For OpenMSIStream; here its content changes in between, and its size and times do not."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    before = path.stat()
    ring = Ring(RUN)
    reading = HashFirstReader(task_of(path), ring, RUN, dir_fd)
    while not reading.sha512:
        assert reading.step(reserve_in(ring)) is None
    assert reading.sha512 == hashlib.sha512(DATA).digest()
    path.write_bytes(DATA[::-1])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert read_until_changed(reading, ring).version == reading.task.version


def test_opening_anything_but_a_file_fails_without_waiting(tmp_path: Path, dir_fd: int) -> None:
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "folder").mkdir()
    (tmp_path / "link").symlink_to("fifo")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(os.path.relpath(tmp_path / "socket"))
    before = count_descriptors()
    for name in (b"fifo", b"folder", b"link", b"socket", b"nothing", b"fifo/below"):
        with pytest.raises(OSError, match=r"."):
            open_regular_file(name, dir_fd)
    assert count_descriptors() == before


def test_whether_a_file_is_being_written(tmp_path: Path) -> None:
    with open(tmp_path / "file", "wb"):
        reader = os.open(tmp_path / "file", os.O_RDONLY)
        assert is_being_written(reader) is True
    assert is_being_written(reader) is False
    with open(tmp_path / "file", "ab"):  # the lease was returned: no writer is held up
        assert is_being_written(reader) is True
    os.close(reader)
    null = os.open("/dev/null", os.O_RDONLY)
    assert is_being_written(null) is None
    os.close(null)


# Small files, in one step


@pytest.mark.parametrize("kind", [FileReader, HashFirstReader])
@pytest.mark.parametrize("size", [0, 1, CHUNK, CHUNK + 1, RUN])
def test_a_small_file_is_read_in_one_step(tmp_path: Path, dir_fd: int, kind: type[FileReader], size: int) -> None:
    data = os.urandom(size)
    (tmp_path / "file").write_bytes(data)
    task, ring = task_of(tmp_path / "file"), Ring(4096)
    run = kind.read_whole(task, ring, reserve_in(ring), dir_fd)
    reader = kind(task, ring, RUN, dir_fd)
    runs: list[RunReady] = []
    while not (runs and runs[-1].xxh3_128):
        step = reader.step(reserve_in(ring))
        runs += [step] if step is not None else []
    reader.close()
    with ring.view(run.start, run.length) as view:
        assert bytes(view) == data
    digests = b"".join(each.xxh3_64 for each in runs)
    assert (run.token, run.first, run.n_chunks, run.xxh3_64) == (task.token, 1, count_chunks(size, CHUNK), digests)
    assert (run.xxh3_128, run.file) == (runs[-1].xxh3_128, runs[0].file)


def test_a_small_file_that_changed_occupies_no_room(
    tmp_path: Path, dir_fd: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"x" * CHUNK)
    task, ring = task_of(path), Ring(4096)
    real = os.preadv

    def preadv(descriptor: int, buffers: list[memoryview], offset: int) -> int:
        count = real(descriptor, buffers, offset)
        path.write_bytes(b"y" * (CHUNK + 1))
        return count

    monkeypatch.setattr(os, "preadv", preadv)
    with pytest.raises(VersionChangedError) as changed:
        FileReader.read_whole(task, ring, reserve_in(ring), dir_fd)
    assert changed.value.version.size == CHUNK + 1
    assert ring.used == 0
    path.write_bytes(b"")
    with pytest.raises(VersionChangedError):
        FileReader.read_whole(task, ring, reserve_in(ring), dir_fd)
    path.unlink()
    with pytest.raises(FileNotFoundError):
        FileReader.read_whole(task, ring, reserve_in(ring), dir_fd)
    assert ring.used == 0


# Files about which nobody has asked yet


def unasked(path: Path) -> FileTask:
    return msgspec.structs.replace(found(path), is_asked=False)


@pytest.mark.parametrize("reading", [FileReader, HashFirstReader])
def test_a_file_that_somebody_writes_to_is_not_read(
    tmp_path: Path, dir_fd: int, reading: type[FileReader], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, ring = tmp_path / "file", Ring(1 << 16)
    path.write_bytes(DATA)
    task = unasked(path)
    with open(path, "r+b"):
        for read in (
            lambda: reading.read_whole(task, ring, reserve_in(ring), dir_fd),
            lambda: reading(task, ring, RUN, dir_fd),
        ):
            before = count_descriptors()
            with pytest.raises(VersionChangedError) as raised:
                read()
            assert count_descriptors() == before
            assert (raised.value.version, raised.value.stamp) == (task.version, task.stamp)
            assert raised.value.being_written
            assert not ring.used
        assert reading.read_whole(found(path), ring, reserve_in(ring), dir_fd)  # of which somebody has asked
    assert reading.read_whole(task, ring, reserve_in(ring), dir_fd).xxh3_128 == xxhash.xxh3_128_hexdigest(DATA)
    reading(task, ring, RUN, dir_fd).close()
    monkeypatch.setattr(file_reader, "is_being_written", lambda *_: None)  # injected: another user's file
    with pytest.raises(VersionChangedError):
        reading.read_whole(task, ring, reserve_in(ring), dir_fd)
    with pytest.raises(VersionChangedError):
        reading(task, ring, RUN, dir_fd)
