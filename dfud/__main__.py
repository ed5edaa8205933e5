"""The console scripts, and ``python -m dfud``.

The modules of a command take a tenth of a second to be imported. An interruption in that time ends the process as
the system has it, without Python's traceback: nothing has begun.
"""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is not ignored, as under nohup
    signal.signal(signal.SIGINT, signal.SIG_DFL)

from dfud.commands.main import download_main, main, upload_main

__all__ = ["download_main", "main", "upload_main"]

if __name__ == "__main__":
    main()
