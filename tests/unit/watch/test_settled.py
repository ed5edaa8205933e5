"""What the first scan passes over: exactly what needs no look."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Collection, Iterable
from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dfud.core.version import FileVersion, path_key
from dfud.files.scan import Folder
from dfud.logs.completed import index
from dfud.messages import Notice
from dfud.watch.events import EventSource
from dfud.watch.once import OnceSource
from dfud.watch.settled import Settled
from tests.helpers.recorded import is_last, record, recorded_versions
from tests.helpers.watching import WatchParts

LATER = 2**62  # ns; nothing has changed since then
OLD_NS = 1_600_000_000_000_000_000


def write(top: Path, path: str, size: int = 1) -> FileVersion:
    file = top / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(bytes(size))
    os.utime(file, ns=(OLD_NS, OLD_NS))
    return FileVersion(os.fsencode(path), size, OLD_NS)


def settled(
    versions: Iterable[FileVersion],
    since_ns: int = LATER,
    open_files: Collection[bytes] = (),
    open_folders: Collection[bytes] = (),
) -> Settled:
    known = recorded_versions(dict.fromkeys(versions, bytes(16)))
    return Settled(known, set(map(path_key, open_files)), set(map(path_key, open_folders)), since_ns)


def scanned(top: Path, passed_over: Settled) -> list[str]:
    parts = WatchParts(top)
    return sorted(parts.ready_paths(OnceSource(parts.tree, parts.inspector, parts.before, LATER, passed_over)))


def test_what_is_recorded_and_unchanged_is_passed_over(tmp_path: Path) -> None:
    versions = [write(tmp_path, "a"), write(tmp_path, "x/b"), write(tmp_path, "x/\udcff")]
    write(tmp_path, "x/new")
    write(tmp_path, "grown", 2)
    versions.append(FileVersion(b"grown", 1, OLD_NS))
    versions.append(FileVersion(b"gone", 1, OLD_NS))
    assert scanned(tmp_path, settled(versions)) == ["grown", "x/new"]
    assert len(scanned(tmp_path, settled(versions, since_ns=1))) == 5, "all have changed since then"


def test_what_is_in_progress_is_looked_at(tmp_path: Path) -> None:
    versions = [write(tmp_path, path) for path in ("a", "x/b", "x/y/c", "z/d")]
    assert scanned(tmp_path, settled(versions, open_files=[b"a"])) == ["a"]
    assert scanned(tmp_path, settled(versions, open_folders=[b"a"])) == ["a"]
    assert scanned(tmp_path, settled(versions, open_files=[b"x"])) == ["x/b", "x/y/c"]


@pytest.mark.parametrize("make", [os.mkfifo, lambda path: os.symlink("a", path)])
def test_only_regular_files_are_passed_over(tmp_path: Path, make: Callable[[Path], None]) -> None:
    write(tmp_path, "a", 0)
    make(tmp_path / "other")
    status = os.lstat(tmp_path / "other")
    versions = [FileVersion(b"a", 0, OLD_NS), FileVersion(b"other", status.st_size, status.st_mtime_ns)]
    with os.scandir(tmp_path) as items:
        found = [item if isinstance(item, int) else item.name for item in settled(versions).unsettled(b"", items)]
    assert sorted(map(str, found)) == ["1", "other"]


def test_others_get_their_turn_meanwhile_and_all_are_counted(tmp_path: Path) -> None:
    versions = [write(tmp_path, f"{number}") for number in range(600)]
    parts = WatchParts(tmp_path)
    steps = list(parts.tree.walk(Folder(b"", take_all=True), settled=settled(versions)))
    assert steps == [None] * 4, "one for the folder, and one for each 256 files"
    assert (parts.tree.counts.files, parts.tree.counts.accepted) == (600, 600)


def test_a_pattern_that_matches_none_of_the_recorded_files_is_told(tmp_path: Path) -> None:
    versions = [write(tmp_path, f"{number}.tif") for number in range(300)]
    parts = WatchParts(tmp_path, upload_regex=r".*\.raw$")
    source = OnceSource(parts.tree, parts.inspector, parts.before, LATER, settled(versions))
    assert parts.ready_paths(source) == []
    (notice,) = [each for each in parts.sent if isinstance(each, Notice)]
    assert "matches none of the 300 files that are there" in notice.text


def test_only_the_first_scan_passes_over_anything(tmp_path: Path) -> None:
    version = write(tmp_path, "x/a")
    parts = WatchParts(tmp_path)
    source = EventSource(
        parts.tree, parts.inspector, parts.before, True, LATER, parts.clock, settled=settled([version])
    )
    assert parts.ready_paths(source) == []
    source.scan_mount(b"x", take_all=True)
    assert parts.ready_paths(source) == ["x/a"]
    source.close()


PATHS = ("a", "x", "x/y", "x/y/z", "x/w")
ROWS = st.lists(st.tuples(st.sampled_from(PATHS), st.integers(0, 2)), max_size=8)


@given(ROWS, ROWS, st.lists(st.tuples(st.sampled_from(PATHS), st.integers(0, 2)), max_size=4), st.booleans())
def test_nothing_is_passed_over_that_the_topic_has_not(
    loaded: list[tuple[str, int]], added: list[tuple[str, int]], files: list[tuple[str, int]], are_many: bool
) -> None:
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patched:
        patched.setattr(index, "_MIN_PREFIXED", 1 if are_many else 1_000)
        rows = [FileVersion(os.fsencode(path), size, OLD_NS) for path, size in loaded]
        known = recorded_versions()
        for row in rows:
            record(known, row)
        saved = known.saved()
        if saved is not None:  # most records sorted, the others added later
            known = type(known).from_saved(*saved)
        for path, size in added:
            rows.append(FileVersion(os.fsencode(path), size, OLD_NS))
            record(known, rows[-1])
        top = Path(folder)
        present = []
        for path, size in files:
            if (
                not any((top / each).is_file() for each in (path, *map(str, Path(path).parents)))
                and not (top / path).is_dir()
            ):
                present.append(write(top, path, size))
        found = set(scanned(top, Settled(known, set(), set(), LATER)))
        assert found >= {os.fsdecode(each.path) for each in present if not is_last(rows, each)}
