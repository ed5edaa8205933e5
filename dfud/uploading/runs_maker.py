"""What seals runs, if the user wants that; otherwise it is not even imported."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from dfud.processes.event_loop import EventLoop
from dfud.processes.workers import WorkerPool
from dfud.uploading.detection import Detection
from dfud.uploading.ledger import Ledger
from dfud.uploading.options import UploadOptions
from dfud.watch.watcher import WatchOptions

if TYPE_CHECKING:
    from dfud.uploading.runs import Runs

MakeRuns = Callable[[Detection, EventLoop], "Runs"]


def runs_maker(
    options: UploadOptions,
    properties: Mapping[str, Any],
    watch: WatchOptions,
    ledger: Ledger,
    pool: WorkerPool,
    log: logging.Logger,
) -> MakeRuns | None:
    """Return what makes `Runs` for the supervisor, or None if no marker is to be held back."""
    if not options.run_marker:
        return None
    from dfud.uploading.runs import Runs
    from dfud.uploading.sealer import SealSettings

    settings = SealSettings(
        options.topic, properties, options.headers, watch, options.run_metadata, options.run_sha256
    )
    return partial(Runs, settings, ledger, pool, log)
