"""The console scripts, and ``python -m dfud``.

Importing the modules of a command takes a tenth of a second. An interruption in that time kills the process
without Python's traceback, for nothing has begun.

``python -m`` looks for dfud itself in the current directory: where that is not to be trusted, use ``dfud``.
"""

from __future__ import annotations

import sys

if __name__ == "__main__" and not (sys.flags.isolated or getattr(sys.flags, "safe_path", False)):
    del sys.path[0]  # the current directory: a download may have brought a click.py into it

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # not ignored, as in a shell's background job
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from dfud.commands.main import download_main, main, upload_main

__all__ = ["download_main", "main", "upload_main"]

if __name__ == "__main__":
    main()
