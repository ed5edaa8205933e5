"""Write files at a steady rate, as a fast instrument does: python -m benchmarks.load FOLDER MB_A_SECOND"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

from benchmarks.watching import write_file

_FILE = 10_000_000  # bytes
_KEPT = 20  # files


def main(folder: Path, rate: float) -> None:
    """Write files of 10 MB, so many MB a second, until killed; remove each when it is 20 files old."""
    data = os.urandom(_FILE)
    began, number = time.monotonic(), 0
    while True:
        write_file(folder / f"load{number:06d}.dat", data)
        number += 1
        if number > _KEPT:
            (folder / f"load{number - _KEPT - 1:06d}.dat").unlink()
        time.sleep(max(0.0, began + number * _FILE / (rate * 1e6) - time.monotonic()))


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]))
