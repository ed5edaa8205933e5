"""The folders that are uploaded: made once, kept in the work folder, found again by their name."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

_STRIPE = 4 * MIB
_FILES_A_FOLDER = 1000


class Dataset(NamedTuple):
    """Files of one size."""

    files: int
    size: int  # bytes of each
    compressible: bool = False  # as a detector's counts: each second byte is 0

    @property
    def bytes(self) -> int:
        return self.files * self.size

    @property
    def name(self) -> str:
        return f"{self.files}x{self.size}{'-counts' if self.compressible else ''}"

    def messages(self, chunk_size: int) -> int:
        """Return how many chunks all files have."""
        return self.files * max(1, -(-self.size // chunk_size))


def make(dataset: Dataset, under: Path) -> Path:
    """Return the folder of `dataset` below `under`, made if it is not there, without a LOGS."""
    folder = under / dataset.name
    if not folder.exists():
        building = under / f"{dataset.name}.new"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        write(dataset, building)
        building.rename(folder)
    forget_logs(folder)
    return folder


def write(dataset: Dataset, folder: Path) -> None:
    """Write the files of `dataset` into `folder`, at most 1,000 in each of its folders."""
    source = _contents(dataset)
    for number in range(dataset.files):
        if number % _FILES_A_FOLDER == 0 and dataset.files > _FILES_A_FOLDER:
            (folder / f"run{number // _FILES_A_FOLDER:04d}").mkdir()
        name = f"frame{number:07d}.dat"
        path = (
            folder / f"run{number // _FILES_A_FOLDER:04d}" / name
            if dataset.files > _FILES_A_FOLDER
            else folder / name
        )
        with open(path, "wb", buffering=0) as file:
            for data in source(dataset.size):
                file.write(data)


def _contents(dataset: Dataset) -> _Contents:
    return _Contents(dataset.compressible)


class _Contents:
    """Bytes that no compression and no cache of equal content shortens, except where they are to be."""

    def __init__(self, compressible: bool) -> None:
        data = bytearray(random.Random(5).randbytes(_STRIPE))
        if compressible:
            data[1::2] = bytes(_STRIPE // 2)
        self._stripe = memoryview(bytes(data))
        self._at = 0

    def __call__(self, size: int) -> Iterator[memoryview]:
        while size:
            length = min(size, _STRIPE - self._at)
            yield self._stripe[self._at : self._at + length]
            size -= length
            self._at = (self._at + length + 1) % _STRIPE if self._at + length >= _STRIPE else self._at + length


def forget_logs(folder: Path) -> None:
    """Remove what uploads have recorded in `folder`: the next one sends everything."""
    shutil.rmtree(folder / "LOGS", ignore_errors=True)


def add_delimiters(dataset: Dataset, folder: Path, chunk_size: int, delimiter: bytes) -> Path:
    """Return a file of all chunks of `dataset`, `delimiter` after each, for a program that splits a stream."""
    path = folder.with_name(f"{folder.name}-{chunk_size}.delimited")
    if not path.exists():
        building = path.with_suffix(".new")
        with open(building, "wb") as out:
            for name in sorted(folder.rglob("*.dat")):
                with open(name, "rb") as file:
                    while chunk := file.read(chunk_size):
                        out.write(chunk)
                        out.write(delimiter)
        os.rename(building, path)
    return path
