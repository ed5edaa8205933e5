"""The folders that are uploaded: created once in the working directory and used again by later runs."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

KIB, MIB, GIB = 1 << 10, 1 << 20, 1 << 30

_STRIPE_BYTES = 4 * MIB
_MAX_FILES_PER_FOLDER = 1000


class Dataset(NamedTuple):
    """Files of one size."""

    files: int
    size: int  # bytes of each
    compressible: bool = False  # like a detector's counts: every second byte is 0

    @property
    def bytes(self) -> int:
        """Of all files."""
        return self.files * self.size

    @property
    def name(self) -> str:
        """The name of its folder."""
        return f"{self.files}x{self.size}{'-counts' if self.compressible else ''}"

    def messages(self, chunk_size: int) -> int:
        """Return how many chunks all files have together."""
        return self.files * max(1, -(-self.size // chunk_size))


def make(dataset: Dataset, under: Path) -> Path:
    """Return the folder of `dataset` below `under`, without LOGS; create it if it does not exist."""
    folder = under / dataset.name
    if not folder.exists():
        building = under / f"{dataset.name}.new"
        shutil.rmtree(building, ignore_errors=True)
        building.mkdir(parents=True)
        write(dataset, building)
        building.rename(folder)
    remove_logs(folder)
    return folder


def write(dataset: Dataset, folder: Path) -> None:
    """Write the files of `dataset` into `folder`, at most 1,000 per subfolder."""
    contents = _Contents(dataset.compressible)
    for number in range(dataset.files):
        if number % _MAX_FILES_PER_FOLDER == 0 and dataset.files > _MAX_FILES_PER_FOLDER:
            (folder / f"run{number // _MAX_FILES_PER_FOLDER:04d}").mkdir()
        name = f"frame{number:07d}.dat"
        path = (
            folder / f"run{number // _MAX_FILES_PER_FOLDER:04d}" / name
            if dataset.files > _MAX_FILES_PER_FOLDER
            else folder / name
        )
        with open(path, "wb", buffering=0) as file:
            for data in contents.take(dataset.size):
                file.write(data)


class _Contents:
    """An endless supply of random bytes, compressible only if asked for, none of which repeats soon."""

    def __init__(self, compressible: bool) -> None:
        data = bytearray(random.Random(5).randbytes(_STRIPE_BYTES))
        if compressible:
            data[1::2] = bytes(_STRIPE_BYTES // 2)
        self._stripe = memoryview(bytes(data))
        self._at = 0

    def take(self, size: int) -> Iterator[memoryview]:
        """Yield the next `size` bytes."""
        while size:
            length = min(size, _STRIPE_BYTES - self._at)
            yield self._stripe[self._at : self._at + length]
            size -= length
            self._at = (
                (self._at + length + 1) % _STRIPE_BYTES
                if self._at + length >= _STRIPE_BYTES
                else self._at + length
            )


def remove_logs(folder: Path) -> None:
    """Remove what uploads have recorded in `folder`, so that the next one sends everything."""
    shutil.rmtree(folder / "LOGS", ignore_errors=True)


def add_delimiters(folder: Path, chunk_size: int, delimiter: bytes) -> Path:
    """Return a file of all chunks, each followed by `delimiter`, for a program that splits a stream."""
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
