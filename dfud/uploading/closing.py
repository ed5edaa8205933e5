"""The end of a run: LOGS is left as the next run needs it, and the user learns the result."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from typing import NamedTuple

from dfud.core.text import counted
from dfud.display.summary import Summary
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED
from dfud.logs.completed.consolidation import append_shards
from dfud.logs.layout import LogsFolder
from dfud.uploading.context import UploadContext
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.reporter import log_undelivered
from dfud.uploading.session import end_session


class Outcome(NamedTuple):
    """How a run ended, besides what the ledger knows."""

    abandoned: bool  # ended before everything was delivered or had failed
    left_over: bool  # there are files that the next run must find, as this one did not add them
    unrecorded: int  # rows of the completed table that are not on disk
    n_left: int = 0  # files that this run should have sent and has not, and that no table has; each was named
    is_whole: bool = True  # no folder was skipped because it could not be read
    directory_gone: bool = False
    is_displaced: bool = False  # another process uploads from here now, and LOGS is its own
    is_topic_harmed: bool = False  # some of what was sent is not on the topic any more, or will not be
    is_cut_short: bool = False  # by --time_limit: not everything in the directory was looked at


def close_run(
    context: UploadContext, table: InProgressWriter, outcome: Outcome, sum_up: Callable[[int, int], Summary]
) -> int:
    """Write the tables for the last time, log what was not delivered, and return the exit status.

    `sum_up` gets the numbers of the files that failed and that were left.
    """
    log = context.log
    table.write()
    undelivered = context.ledger.undelivered
    log_undelivered(undelivered, log)
    incomplete = table.is_failing or outcome.unrecorded > 0  # some of what is on the topic is in no table
    if not (outcome.abandoned or outcome.is_displaced):
        error = _merge_shards(context)
        if error is not None:
            log.error(f"cannot merge the completed tables: {error}; the next run retries")
            incomplete = True
    reasons = list(_reasons(context.folder, outcome, len(undelivered), incomplete))
    log.log(logging.WARNING if reasons else logging.INFO, sum_up(len(undelivered), outcome.n_left).line())
    for reason in reasons:
        log.error(reason)
    if not reasons:
        log.info("all files detected are on the topic and recorded")
    if not (outcome.abandoned or incomplete or outcome.is_cut_short):
        # Otherwise the next run checks all that has changed since this one began.
        end_session(context.session, context.since_ns if outcome.left_over else None, log)
    return EXIT_UNDELIVERED if reasons else EXIT_OK


def _reasons(folder: LogsFolder, outcome: Outcome, n_undelivered: int, incomplete: bool) -> Iterator[str]:
    """Yield a line for each reason why not all that should be on the topic is there and recorded."""
    if n_undelivered:
        it_stays = "it stays" if n_undelivered == 1 else "they stay"
        yield f"{counted(n_undelivered, 'file')} could not be delivered; {it_stays} in {folder.in_progress}"
    elif incomplete:
        yield "some tables could not be written: the next run may send again what they lack"
    elif outcome.is_displaced:
        yield "another dfud uploads from here now: it may send again what this run could not record"
    elif outcome.abandoned:
        yield "ended before everything was delivered"
    if outcome.is_topic_harmed:
        yield f"topic {folder.topic} does not keep all that was sent to it: see above"
    if outcome.n_left:
        was, them = ("was", "it") if outcome.n_left == 1 else ("were", "them")
        yield f"{counted(outcome.n_left, 'file')} {was} left: see above; the next run sends {them}"
    if not outcome.is_whole:
        yield "some folders could not be read: see above; the next run tries again"
    if outcome.directory_gone:
        yield f"{folder.directory} is gone: what was not detected before is not uploaded"
    elif outcome.is_cut_short:
        yield "--time_limit is over: not everything was looked at; the next run sends the rest"
    elif outcome.left_over and not outcome.n_left and outcome.is_whole:
        yield "not everything could be recorded: see above; the next run looks for it"


def _merge_shards(context: UploadContext) -> OSError | None:
    try:
        return append_shards(context.folder, context.folder.shards())
    except OSError as error:  # LOGS itself is gone
        return error
