"""What releases files beside an upload, if the user wants that; otherwise it is not even imported."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from dfud.processes.event_loop import EventLoop
from dfud.processes.workers import WorkerPool
from dfud.uploading.options import UploadOptions

if TYPE_CHECKING:
    from dfud.uploading.releases import Releases

MakeReleases = Callable[[EventLoop, Callable[[], None]], "Releases"]


def releases_maker(options: UploadOptions, pool: WorkerPool, log: logging.Logger) -> MakeReleases | None:
    """Return what makes `Releases` for the supervisor, or None if nothing is to be released."""
    if options.release is None:
        return None
    from dfud.uploading.releases import Releases

    return partial(Releases, options.release, options.once, pool, log)
