"""The table of what is incomplete, which other programs read."""

from __future__ import annotations

import contextlib
import csv
import os
from pathlib import Path

import pytest

from dfud.core.chunk import XXH3_128
from dfud.core.ranges import RangeSet
from dfud.downloading.incomplete_table import IncompletePart, IncompleteTable, list_incomplete
from dfud.downloading.part_metadata import PartMetadata, PartName
from dfud.downloading.parts_folder import PartsFolder
from dfud.files.confined import ConfinedTree
from dfud.files.open_folder import OpenFolder

NAME = PartName(bytes(16), 0, "00000001")
METADATA = PartMetadata(b"d/f", 3500, 12, 1000, XXH3_128, "", RangeSet([(1, 1000), (3001, 3500)]))


def folder_with(path: Path, metadata: PartMetadata) -> PartsFolder:
    (path / f"{NAME}.json").write_bytes(metadata.to_json())
    return PartsFolder(os.open(path, os.O_RDONLY | os.O_DIRECTORY))


def listed(directory: Path, folder: PartsFolder) -> list[IncompletePart]:
    with contextlib.closing(ConfinedTree(str(directory))) as tree:
        return list(list_incomplete(folder, tree, False))


@pytest.mark.parametrize(
    ("metadata", "cells", "description"),
    [
        pytest.param(
            METADATA,
            ["d/f", "3500", "12", "1500", "2-3", ""],
            "is incomplete: 1500 of 3500 bytes received; missing chunks: 2-3",
            id="incomplete",
        ),
        pytest.param(
            METADATA._replace(size=None, mtime_ns=None, chunk_size=0),
            ["d/f", "", "", "1500", "", ""],
            "is incomplete: 1500 of ? bytes received",
            id="unknown",
        ),
        pytest.param(
            METADATA._replace(spans=RangeSet([(1, 3500)]), failure="cannot be put in place: Is a directory"),
            ["d/f", "3500", "12", "3500", "", "cannot be put in place: Is a directory"],
            "is complete, but cannot be put in place: Is a directory",
            id="complete",
        ),
        pytest.param(
            METADATA._replace(path=b"\xff"),
            ["\udcff", "3500", "12", "1500", "2-3", ""],
            "is incomplete: 1500 of 3500 bytes received; missing chunks: 2-3",
            id="path",
        ),
    ],
)
def test_a_row_for_each_part(tmp_path: Path, metadata: PartMetadata, cells: list[str], description: str) -> None:
    (tmp_path / "parts").mkdir()
    folder = folder_with(tmp_path / "parts", metadata)
    rows = listed(tmp_path, folder)
    os.close(folder.dir_fd)
    assert [row.description for row in rows] == [description]
    assert [row.is_complete for row in rows] == ["complete," in description]
    (tmp_path / "LOGS").mkdir()
    table = IncompleteTable(OpenFolder(str(tmp_path), "LOGS"), "T")
    table.write(rows)
    assert table.path == str(tmp_path / "LOGS" / "download_from_T_incomplete.csv")
    with open(table.path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        head, *shown = csv.reader(file)
    assert head == ["rel_filepath", "size", "mtime_ns", "bytes_there", "chunks_missing", "why", "part"]
    assert shown == [[*cells, f"{NAME}.part"]]


def test_many_missing_chunks_are_cut_off_between_ranges(tmp_path: Path) -> None:
    spans = RangeSet([(start, start) for start in range(2, 3000, 3)])
    folder = folder_with(tmp_path, METADATA._replace(chunk_size=1, spans=spans))
    (row,) = listed(tmp_path, folder)
    os.close(folder.dir_fd)
    assert len(row.chunks_missing) <= 1002
    assert row.chunks_missing.startswith("1 3-4 6-7 ")
    assert row.chunks_missing.endswith(" …")
    RangeSet.parse(row.chunks_missing[:-2])
