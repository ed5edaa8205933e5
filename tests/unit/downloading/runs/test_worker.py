"""Runs get their places when they are whole, and not before."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import xxhash

from dfud.core.version import FileVersion
from dfud.downloading.runs.mark import Mark
from dfud.downloading.runs.settings import PLAIN
from tests.helpers.downloading import native
from tests.helpers.fetching import NOW
from tests.helpers.staging import Staging, listed, manifest, sealed

FILES = {b"a": b"1" * 3000, b"sub/b": b"22", b"sub/empty": b""}


@pytest.fixture
def staging(tmp_path: Path) -> Iterator[Staging]:
    with contextlib.closing(Staging(tmp_path)) as made:
        yield made


def placed(run: bytes, files: dict[bytes, bytes], done: bytes = b"done") -> dict[bytes, bytes]:
    return {run + b"/" + path: data for path, data in {**files, b"Done": done}.items()}


def test_a_run_appears_with_its_last_message_whatever_that_is(staging: Staging) -> None:
    records = sealed(b"x/run7", FILES)
    for first, last in ((b"e", 0), (b"f", 3), (b"g", -1)):
        messages = sealed(first + b"/run7", FILES)
        late = messages.pop(last)
        staging.take(*messages)
        assert staging.look() == []
        assert staging.files() == {}
        staging.take(late)
        assert staging.look() == [f"run {first.decode()}/run7 is whole, and in its place: 4 files, 0.0 MB"]
        assert staging.files() == placed(first + b"/run7", FILES)
        assert staging.end() == (0, [])
        for name in staging.files():
            os.unlink(staging.top / os.fsdecode(name))
    assert staging.left() == []
    staging.take(*records)
    staging.look()
    status = os.stat(staging.top / "x" / "run7" / "a")
    assert (status.st_mtime_ns, status.st_nlink) == (NOW, 1)


def test_what_is_missing_is_named(staging: Staging) -> None:
    messages = sealed(b"run7", FILES)
    staging.take(*messages[3:])  # all but the file of three chunks
    staging.take(*native(b"elsewhere", b"of no run", NOW))
    assert staging.end() == (
        1,
        [
            "run run7 is not whole: 1 of 4 files is missing: run7/a",
            "1 file that belongs to no run so far: kept in LOGS until a manifest lists what belongs to it",
        ],
    )
    staging.take(*native(b"run7/a", b"other bytes", NOW + 1))
    n_left, lines = staging.end()
    assert (n_left, lines[0].endswith("run7/a (another version of it was sent last)")) == (1, True)
    assert staging.files() == {}


def test_a_file_with_other_bytes_than_the_manifest_has_is_named(staging: Staging) -> None:
    marker = FileVersion(b"run7/Done", 4, NOW)
    staging.take(*native(b"run7/a", b"AAAA", NOW), *native(b"run7/Done", b"done", NOW))
    staging.take(*manifest(b"run7", [listed(b"run7/a", b"BBBB")], marker))
    text = "cannot be put in its place: run7/a: its bytes are not those of the manifest; trying again"
    assert staging.look() == [f"run run7 {text}"]
    assert staging.look() == []
    staging.take(*native(b"run7/a", b"BBBB", NOW))  # the same version, sent again
    assert staging.look() == ["run run7 is whole, and in its place: 2 files, 0.0 MB"]


def test_a_run_that_is_sealed_again_replaces_itself(staging: Staging) -> None:
    staging.take(*sealed(b"run7", FILES))
    staging.look()
    unchanged = os.stat(staging.top / "run7" / "a").st_ino
    changed = {b"sub/b": b"333", b"sub/empty": b"", b"new": b"n"}
    folder = os.stat(staging.top / "run7").st_ino
    records = [each for path, data in changed.items() for each in native(b"run7/" + path, data, NOW + 1)]
    entries = [listed(b"run7/a", FILES[b"a"])] + [
        listed(b"run7/" + path, data, NOW + 1) for path, data in changed.items()
    ]
    done = native(b"run7/Done", b"again", NOW + 1)
    staging.take(*records, *manifest(b"run7", entries, FileVersion(b"run7/Done", 5, NOW + 1)))
    assert staging.look() == []
    assert staging.files() == placed(b"run7", FILES)
    staging.take(*done)
    assert len(staging.look()) == 1
    assert staging.files() == placed(b"run7", {**FILES, **changed}, b"again")
    assert os.stat(staging.top / "run7").st_ino != folder  # it was replaced as a whole
    assert os.stat(staging.top / "run7" / "a").st_ino == unchanged
    assert staging.end() == (0, [])
    assert (staging.left(), (staging.parts / "replaced").exists()) == ([], False)


@pytest.mark.parametrize("layout", ["plain", "bag"])
def test_what_is_read_again_changes_nothing(tmp_path: Path, layout: str) -> None:
    with contextlib.closing(Staging(tmp_path, layout)) as staging:
        _take_again(staging)


def _take_again(staging: Staging) -> None:
    first, second = sealed(b"run7", {b"a": b"1"}), sealed(b"run7", {b"a": b"2"}, NOW + 1, b"2")
    staging.take(*first, *second)
    staging.look()
    inode, before = os.stat(staging.top / "run7").st_ino, staging.files()
    staging.restart()
    for at, records in ((0, first), (len(first), second)):  # the older manifest comes alone
        staging.take(*records, at=at)
        assert not [name for name in staging.left() if name.startswith("staged")]  # nothing is staged again
        assert staging.look() == []
        assert (staging.files(), staging.left()) == (before, [])
    staging.restart()
    assert staging.end() == (0, [])
    assert (os.stat(staging.top / "run7").st_ino, staging.left()) == (inode, [])


@pytest.mark.parametrize("layout", ["plain", "bag"])
def test_files_that_lie_like_those_of_a_bag_are_not_mistaken(tmp_path: Path, layout: str) -> None:
    names = [b"bagit.txt", b"manifest-sha256.txt", b"x", b"data/x", b"data/data/x"]
    with contextlib.closing(Staging(tmp_path, layout)) as staging:
        for some in (names[:3], names):  # the others are not taken for those that are in place
            staging.take(*sealed(b"a", dict.fromkeys(some, b"same")))
            assert (len(staging.look()), staging.left()) == (1, [])
        root = b"a/data/" if layout == "bag" else b"a/"
        assert {path for path in staging.files() if path.startswith(root)} == {
            root + name for name in [*names, b"Done"]
        }
        assert staging.end() == (0, [])


@pytest.mark.parametrize("layout", ["plain", "bag"])
def test_runs_in_runs(tmp_path: Path, layout: str) -> None:
    inner, data = {b"x": b"inner"}, b"data/" if layout == "bag" else b""
    with contextlib.closing(Staging(tmp_path, layout, with_ro_crate=True)) as staging:
        staging.take(*sealed(b"a/b", inner))
        staging.look()
        assert (
            placed(b"a/b", {data + b"x": b"inner"}).items() - {(b"a/b/Done", b"done")} <= staging.files().items()
        )
        entries = [listed(b"a/b/x", b"inner"), listed(b"a/b/Done", b"done"), listed(b"a/y", b"outer")]
        staging.take(*native(b"a/y", b"outer", NOW), *native(b"a/Done", b"all", NOW))
        staging.take(*manifest(b"a", entries, FileVersion(b"a/Done", 3, NOW)))
        assert len(staging.look()) == 1
        root = b"a/" + data
        outer = {root + path: text for path, text in {b"y": b"outer", b"Done": b"all", b"b/x": b"inner"}.items()}
        assert outer.items() <= staging.files().items()
        assert not [
            path for path in staging.files() if not path.startswith((root, b"a/bag", b"a/manifest", b"a/tag"))
        ]
        assert (staging.end(), staging.left()) == ((0, []), [])


def test_the_directory_itself_is_put_at_the_name_of_the_topic(staging: Staging) -> None:
    staging.take(*sealed(b"", FILES))
    assert staging.look() == ["run . is whole, and in its place: 4 files, 0.0 MB"]
    assert staging.files() == placed(b"T", FILES)


def test_what_users_have_put_into_a_place_is_kept(staging: Staging) -> None:
    (staging.top / "run7" / "notes").mkdir(parents=True)
    (staging.top / "run7" / "notes" / "mine.txt").write_text("mine")
    staging.take(*sealed(b"run7", FILES))
    lines = staging.look()
    assert lines[0] == "run run7 is whole, and in its place: 4 files, 0.0 MB"
    assert "moved into LOGS, to replaced/" in lines[1]
    assert staging.files() == placed(b"run7", FILES)
    (kept,) = (staging.parts / "replaced").iterdir()
    assert (kept / "notes" / "mine.txt").read_text() == "mine"


@pytest.mark.parametrize("kind", ["file", "link"])
def test_what_is_no_folder_makes_room(
    staging: Staging, kind: str, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside")
    if kind == "file":
        (staging.top / "run7").write_text("mine")
    else:
        (staging.top / "run7").symlink_to(outside)
    staging.take(*sealed(b"run7", FILES))
    staging.look()
    assert staging.files() == placed(b"run7", FILES)
    assert not list(outside.iterdir())
    assert len(list((staging.parts / "replaced").iterdir())) == 1


def test_no_link_on_the_way_is_followed(staging: Staging, tmp_path_factory: pytest.TempPathFactory) -> None:
    outside = tmp_path_factory.mktemp("outside")
    (staging.top / "x").symlink_to(outside)
    staging.take(*sealed(b"x/run7", FILES))
    assert "cannot be put in its place: Not a directory" in staging.look()[0]
    assert not list(outside.iterdir())
    (staging.top / "x").unlink()
    assert len(staging.look()) == 1
    assert staging.files() == placed(b"x/run7", FILES)


def test_a_manifest_of_many_messages(staging: Staging) -> None:
    files = {b"%03d" % number: b"%d" % number for number in range(100)}
    records = sealed(b"run7", files)
    parts = manifest(
        b"run7",
        [listed(b"run7/" + path, data) for path, data in files.items()],
        FileVersion(b"run7/Done", 4, NOW),
        max_bytes=3000,
    )
    assert len(parts) > 3
    staging.take(*records[:100], records[-1], *parts[1:], *parts[1:])
    assert (
        staging.end()[1][0]
        == f"run run7 is not whole: {len(parts) - 1} of {len(parts)} messages of its manifest were read"
    )
    staging.restart()
    staging.take(parts[0])
    staging.look()
    assert staging.files() == placed(b"run7", files)
    assert staging.end() == (0, [])


def test_what_is_no_manifest_is_refused(staging: Staging) -> None:
    (record,) = manifest(b"run7", [], FileVersion(b"run7/Done", 4, NOW))
    staging.take(
        record._replace(value=b"{}"), record._replace(key=b"../x"), record._replace(headers=record.headers[:2])
    )
    assert len(staging.refused) == 3
    assert (staging.end(), staging.left()) == ((0, []), [])


def test_manifests_of_what_is_left_out_are_left_out(staging: Staging) -> None:
    staging.take(*sealed(b"unwanted/run7", FILES))
    n_left, lines = staging.end()
    assert (n_left, lines[0].startswith("4 files that belong to no run")) == (0, True)


@pytest.mark.parametrize("at", ["new", "ready", "exchanged", "old"])
@pytest.mark.parametrize("is_sealed_again", [False, True])
def test_a_kill_between_any_two_steps(staging: Staging, at: str, is_sealed_again: bool) -> None:
    """What each kill leaves is made by hand: the run gets its place all the same, and nothing else is lost."""
    building, run, name = staging.parts / "building", staging.top / "run7", xxhash.xxh3_128_hexdigest(b"run7")
    staging.take(*sealed(b"run7", FILES))
    staging.look()
    (run / "notes").write_text("of the user")
    files = {**FILES, b"new": b"n"}
    staging.take(*sealed(b"run7", files, NOW + 1))
    staging.worker._pending.update()
    (pending,) = staging.worker._pending.complete()
    loaded = staging.worker._pending.load(pending)
    assert loaded is not None
    new, ready = building / f"{name}.new", building / f"{name}.ready"
    staging.worker._builder.build(loaded, os.fsencode(new.name))
    with open_folder(new) as folder_fd:
        Mark.of(loaded, PLAIN, pending.sent).write(folder_fd)
    if at != "new":
        new.rename(ready)
    if at == "exchanged":
        run.rename(new)
        ready.rename(run)
        new.rename(ready)
    elif at == "old":
        run.rename(building / f"{name}.old")
    if is_sealed_again:
        files = {b"last": b"l"}
        staging.take(*sealed(b"run7", files, NOW + 2))
    staging.restart()
    n_left, _ = staging.end()
    assert (n_left, staging.files()) == (0, placed(b"run7", files))
    kept = list((staging.parts / "replaced").rglob("notes"))
    assert [path.read_text() for path in kept] == ["of the user"]
    assert [left for left in staging.left() if not left.startswith("staged")] == []


@contextlib.contextmanager
def open_folder(path: Path) -> Iterator[int]:
    folder_fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        yield folder_fd
    finally:
        os.close(folder_fd)
