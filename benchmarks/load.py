"""Write files at a steady rate, as a fast instrument does: python -m benchmarks.load FOLDER MB_PER_SECOND."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.watching import write_file

_FILE_BYTES = 10_000_000
_MAX_FILES = 20  # that exist at a time


def main(folder: Path, rate: float) -> None:
    """Write files of 10 MB at `rate` MB/s until killed, and remove all but the newest 20."""
    data = os.urandom(_FILE_BYTES)
    started, number = time.monotonic(), 0
    while True:
        write_file(folder / f"load{number:06d}.dat", data)
        number += 1
        if number > _MAX_FILES:
            (folder / f"load{number - _MAX_FILES - 1:06d}.dat").unlink()
        time.sleep(max(0.0, started + number * _FILE_BYTES / (rate * 1e6) - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
