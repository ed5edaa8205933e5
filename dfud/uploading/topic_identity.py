"""A topic that was deleted and made anew: what was acknowledged before is on none, and has to be sent again."""

from __future__ import annotations

import logging
from collections.abc import Iterable

from dfud.core.tables import InProgressRow
from dfud.core.text import counted
from dfud.logs.layout import LogsFolder
from dfud.logs.topic_id import read_topic_id, write_topic_id


def is_another_topic(folder: LogsFolder, topic_id: str, log: logging.Logger) -> bool:
    """Return whether the tables are about an earlier topic of this name; `topic_id` is that of the present one."""
    try:
        known = read_topic_id(folder)
    except OSError as error:
        log.error(f"cannot read {folder.topic_id}: {error.strerror}; a topic that was made anew is not noticed")
        return False
    return bool(known and topic_id) and known != topic_id


def record_topic(folder: LogsFolder, topic_id: str, log: logging.Logger) -> None:
    """Record which topic the tables are about from now on, if the broker says that."""
    try:
        if topic_id and read_topic_id(folder) != topic_id:
            write_topic_id(folder, topic_id)
    except OSError as error:
        log.error(f"cannot write {folder.topic_id}: {error.strerror}; uploading continues")


def without_progress(rows: Iterable[InProgressRow]) -> list[InProgressRow]:
    """Return `rows` with every chunk still to be sent."""
    return [
        row._replace(n_chunks_delivered=0, n_chunks_to_send=row.n_chunks, chunks_to_send=f"1-{row.n_chunks}")
        for row in rows
    ]


def log_lost_files(folder: LogsFolder, n_recorded: int, log: logging.Logger) -> None:
    """Say how many recorded files are not on the topic that was made anew, and how to send them again."""
    if n_recorded:
        log.warning(
            f"{counted(n_recorded, 'recorded file')} may not be on topic {folder.topic} any more, which was made "
            f"anew: to send what is still there again, end dfud, remove {folder.completed}, and start it with "
            "--upload_existing"
        )
