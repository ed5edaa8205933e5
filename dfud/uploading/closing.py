"""The end of a run: LOGS is left as the next run needs it, and the user learns the result."""

from __future__ import annotations

from typing import NamedTuple

from dfud.core.text import counted, printable
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED
from dfud.logs.completed.consolidation import append_shards
from dfud.uploading.context import UploadContext
from dfud.uploading.in_progress_writer import InProgressWriter
from dfud.uploading.session import end_session


class Outcome(NamedTuple):
    """How a run ended, besides what the ledger knows."""

    abandoned: bool  # ended before everything was delivered or had failed
    left_over: bool  # there are files that the next run must find, as this one did not add them
    unrecorded: int  # rows of the completed table that are not on disk


def close_run(context: UploadContext, table: InProgressWriter, outcome: Outcome) -> int:
    """Write the tables for the last time, log what was not delivered, and return the exit status."""
    log, folder = context.log, context.folder
    table.write()
    undelivered = context.ledger.undelivered
    for entry in undelivered:
        log.error(f"{printable(entry.version.path)} not delivered: {entry.failure}")
    incomplete = table.is_failing or outcome.unrecorded > 0  # some of what is on the topic is in no table
    if not outcome.abandoned:
        error = _merge_shards(context)
        if error is not None:
            log.error(f"cannot merge the completed tables: {error}; the next run retries")
            incomplete = True
        if not incomplete:  # otherwise the next run checks all that has changed since this one began
            end_session(context.session, context.since_ns if outcome.left_over else None, log)
    if undelivered:
        it_stays = "it stays" if len(undelivered) == 1 else "they stay"
        log.error(
            f"{counted(len(undelivered), 'file')} could not be delivered; {it_stays} in {folder.in_progress}"
        )
    elif incomplete:
        log.error("some tables could not be written: the next run may send again what they lack")
    elif outcome.abandoned:
        log.error("ended before everything was delivered")
    else:
        log.info("all files detected are on the topic and recorded")
        return EXIT_OK
    return EXIT_UNDELIVERED


def _merge_shards(context: UploadContext) -> OSError | None:
    try:
        return append_shards(context.folder, context.folder.shards())
    except OSError as error:  # LOGS itself is gone
        return error
