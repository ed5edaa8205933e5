"""The releaser process: one release of files that all receivers have, beside the upload.

It is forked from the supervisor for each release, and ends with it. The upload has the processor first.
"""

from __future__ import annotations

import contextlib
import os

from dfud.messages import FromReleaser, Notice, ToReleaser
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.worker import init_worker
from dfud.uploading.options import RunRelease

_NICENESS = 10


def run(
    name: str, supervisor_pid: int, to_supervisor: Channel[FromReleaser, ToReleaser], release: RunRelease
) -> None:
    """Run the releaser process until its release is done, or until `Stop`."""
    init_worker(name, supervisor_pid)
    with contextlib.suppress(OSError):  # a sandbox may not allow it
        os.nice(_NICENESS)
    is_stopped = False

    def is_stopping() -> bool:
        nonlocal is_stopped
        is_stopped = is_stopped or bool(to_supervisor.receive(wait=False))
        return is_stopped

    with contextlib.suppress(PeerGoneError):
        ended = release(lambda level, text: to_supervisor.send([Notice(level, text)]), is_stopping)
        to_supervisor.send([ended])
