"""Write the pictures of docs/status.md anew: ``python scripts/page_pictures.py``, which needs a Chromium."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from datetime import datetime
from pathlib import Path

from browser import browser, find_chromium
from sample_logs import write_sample

from dfud.logs.lock import DirectoryLock

_HERE = Path(__file__).resolve().parent
_IMAGES = _HERE.parent / "docs" / "images"
_PICTURES = (("status-wide.png", 1280, 1000, "light"), ("status-narrow.png", 360, 1000, "dark"))


def main() -> int:
    """Write the pictures; return the exit status."""
    program = find_chromium()
    if program is None:
        print("no Chromium was found: apt-get install chromium", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as folder:
        directory, page = Path(folder, "run42"), Path(folder, "run42.html")
        logs = write_sample(directory, 20_000, datetime.now().astimezone())
        lock = DirectoryLock.take(logs, logs.lock, "being shown")
        words = [sys.executable, "-m", "dfud", "status", str(directory), "--html", str(page)]
        subprocess.run(words, check=True, cwd=_HERE.parent)
        lock.close()
        text = page.read_text("utf-8").replace(str(directory), "/data/run42")
        page.write_text(text.replace(f" on {os.uname().nodename},", " on beamline7,"), "utf-8")
        with browser(program) as window:
            for name, width, height, scheme in _PICTURES:
                window.open(page.as_uri(), width, height, scheme)
                window.screenshot(_IMAGES / name)
    return 0


if __name__ == "__main__":
    sys.exit(main())
