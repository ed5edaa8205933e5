"""The folder of parts: what a crash leaves behind, and what other numbers of fetchers make of it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.core.chunk import XXH3_128
from dfud.core.ranges import RangeSet
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.parts_folder import PartsFolder

NAME = PartName(bytes(16), 5, "00000001")
METADATA = PartMetadata(b"f", 10, 1, 5, XXH3_128, "", RangeSet([(1, 5)]))


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[PartsFolder]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield PartsFolder(descriptor)
    os.close(descriptor)


def add_part(folder: PartsFolder, name: PartName = NAME) -> None:
    os.close(folder.create(name))
    folder.write_metadata(name, METADATA.to_json())
    folder.publish_metadata(name)


def test_a_part_has_two_files_and_is_listed_with_its_metadata(folder: PartsFolder, tmp_path: Path) -> None:
    add_part(folder)
    (tmp_path / "groups").write_text("dfud\n")
    assert sorted(os.listdir(tmp_path)) == [f"{NAME}.json", f"{NAME}.part", "groups"]
    assert list(folder.list_parts()) == [(NAME, METADATA)]
    assert folder.has(NAME)
    folder.remove(NAME)
    folder.remove(NAME)
    assert not folder.has(NAME)
    assert os.listdir(tmp_path) == ["groups"]


@pytest.mark.parametrize(
    ("suffixes", "left"),
    [
        ([".part", ".json"], [".json", ".part"]),
        ([".part", ".json", ".new"], [".json", ".part"]),
        ([".part"], []),
        ([".json"], []),
        ([".new"], []),
        ([".part", ".new"], []),
    ],
)
def test_what_a_crash_left_behind_is_removed(
    folder: PartsFolder, tmp_path: Path, suffixes: list[str], left: list[str]
) -> None:
    for suffix in suffixes:
        (tmp_path / f"{NAME}{suffix}").touch()
    for other in ("groups", ".lock", "another.part", "another.new"):
        (tmp_path / other).touch()
    folder.remove_leftovers()
    names = sorted(os.listdir(tmp_path))
    assert [name for name in names if name.startswith(str(NAME))] == [f"{NAME}{suffix}" for suffix in left]
    assert {"groups", ".lock", "another.part", "another.new"} <= set(names)


@pytest.mark.parametrize("done", range(4), ids=["nothing", "linked", "renamed", "unlinked"])
def test_parts_of_missing_fetchers_are_reassigned_even_after_a_crash(
    folder: PartsFolder, tmp_path: Path, done: int
) -> None:
    """`done` is the step before which an earlier attempt was killed."""
    renamed = NAME._replace(fetcher=2)
    other = PartName(b"o" * 16, 0, "00000002")
    add_part(folder)
    add_part(folder, other)
    if done >= 1:
        os.link(tmp_path / f"{NAME}.json", tmp_path / f"{renamed}.json")
    if done >= 2:
        os.rename(tmp_path / f"{NAME}.part", tmp_path / f"{renamed}.part")
    if done >= 3:
        os.unlink(tmp_path / f"{NAME}.json")
    folder.reassign(3)
    assert {name for name, _ in folder.list_parts()} == {renamed, other}
    assert folder.has(renamed)
    assert not folder.has(NAME)
