"""The tree of files that the demonstration uploads: an instrument's files, and difficult names."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from typing import NamedTuple

ODD_NAMES = (
    b"with some spaces.dat",
    b'it\'s "quoted".dat',
    b"semicolon; comma, colon:.dat",
    b"two\nlines.dat",
    b"tab\tand\rreturn.dat",
    b"not UTF-8 \xff\xfe\x80.dat",
    "Probe 3 µm, näher ☕ 試料.dat".encode(),
    b"back\\slash.dat",
    b"$HOME `date` %s {} *?.dat",
    b"-rf",
    b"no ending",
)
CHUNK = 16384  # bytes, the default of --chunk_size
_MAX_NAME_BYTES = b"n" * 251 + b".dat"
_EDGES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1)

_RUNS, _SCANS, _FRAMES = 12, 4, 24
_LARGE = (4 << 20, (8 << 20) + 1, (16 << 20) - 1)


class PlannedFile(NamedTuple):
    """A file to write."""

    path: bytes  # relative to the tree, "/"-separated
    size: int  # bytes


def plan(seed: int = 1) -> Iterator[PlannedFile]:
    """Yield the files of the tree: small ones in subfolders, large, empty and one-byte ones, odd names."""
    sizes = random.Random(seed)
    for run in range(1, _RUNS + 1):
        for scan in range(1, _SCANS + 1):
            for frame in range(1, _FRAMES + 1):
                path = b"run_%02d/scan_%d/frame_%03d.dat" % (run, scan, frame)
                yield PlannedFile(path, int(sizes.lognormvariate(9.5, 1.0)))
    for number, size in enumerate(_LARGE, 1):
        yield PlannedFile(b"detector/image_%d.raw" % number, size)
    for size in _EDGES:
        yield PlannedFile(b"edges/%d bytes.dat" % size, size)
    yield PlannedFile(b"edges/" + _MAX_NAME_BYTES, 1)
    for name in ODD_NAMES:
        yield PlannedFile(name, sizes.randrange(CHUNK))
        yield PlannedFile(b"odd; 'names' \xe9/" + name, sizes.randrange(3 * CHUNK))


def write_tree(folder: bytes, files: list[PlannedFile], seed: int = 1) -> None:
    """Write the files with incompressible bytes, which the seed determines."""
    content = random.Random(seed)
    for path, size in files:
        full = os.path.join(folder, path)
        os.makedirs(os.path.dirname(full), exist_ok=True)
        with open(full, "wb") as file:
            file.write(content.randbytes(size))
