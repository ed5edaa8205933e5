"""The console scripts, and ``python -m dfud``.

The modules of a command take a tenth of a second to be imported. An interruption in that time ends the process as
the system has it, without Python's traceback: nothing has begun.
"""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # it is not ignored, as under nohup
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def main() -> None:
    """Run ``dfud``."""
    from dfud import commands

    commands.main()


def upload_main() -> None:
    """Run ``DataFileUploadDirectory``, which is ``dfud upload``."""
    from dfud import commands

    commands.upload_main()


def download_main() -> None:
    """Run ``DataFileDownloadDirectory``, which is ``dfud download``."""
    from dfud import commands

    commands.download_main()


if __name__ == "__main__":
    main()
