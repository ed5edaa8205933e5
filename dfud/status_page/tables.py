"""The tables of the page, each with what it leaves out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta, timezone

from dfud.core.sizes import shown_size
from dfud.core.tables import NO_DIGEST, CompletedRow, InProgressRow
from dfud.core.text import counted
from dfud.logs.upload_status import Cause
from dfud.status_page.folders import OTHERS, FolderTotals
from dfud.status_page.history import History
from dfud.status_page.markup import Html, element, join, name, text, time
from dfud.status_page.table import Cell, table

_MAX_FILES = 100  # in progress that are listed
_MAX_FOLDERS = 100  # that are listed
_NUMBER = "number"
_PATH = "path"


def failures_table(causes: Iterable[Cause]) -> Html:
    """Return why files are not delivered."""
    rows = [
        (
            (_PATH, name(cause.cause)),
            (_NUMBER, text(f"{cause.files:,}")),
            ("", text("given up by this run" if cause.is_final else "tried again")),
            (_PATH, name(cause.example)),
        )
        for cause in causes
    ]
    return table("Why files are not delivered", ("Cause", "Files", "State", "For example"), rows)


def under_way_table(rows: Sequence[InProgressRow]) -> Html:
    """Return the files of which some chunks are acknowledged, and how far each is."""
    shown = sorted(rows, key=lambda row: row.started)[:_MAX_FILES]
    caption = _caption("Files of which a part is acknowledged, the one that was detected first at the top", rows)
    columns = ("Path", "Acknowledged", "Bytes", "Size", "Detected")
    return table(caption, columns, [_under_way_cells(row) for row in shown])


def _under_way_cells(row: InProgressRow) -> list[Cell]:
    done = acknowledged_bytes(row)
    percent = 100 * row.n_chunks_delivered // row.n_chunks
    bar = element(
        "progress", text(f"{percent} %"), max=row.n_chunks, value=row.n_chunks_delivered,
        aria_label=f"acknowledged of {row.rel_filepath[:200]}",
    )  # fmt: skip
    return [
        (_PATH, name(row.rel_filepath)),
        ("", join(bar, text(f" {percent} %"))),
        (_NUMBER, text(shown_size(done))),
        (_NUMBER, text(shown_size(row.size))),
        ("", time(row.started)),
    ]


def waiting_table(rows: Sequence[InProgressRow]) -> Html:
    """Return the files of which nothing is acknowledged yet."""
    shown = sorted(rows, key=lambda row: row.started)[:_MAX_FILES]
    caption = _caption("Files that were detected and wait, the one that waits longest at the top", rows)
    cells = [
        ((_PATH, name(row.rel_filepath)), (_NUMBER, text(shown_size(row.size))), ("", time(row.started)))
        for row in shown
    ]
    return table(caption, ("Path", "Size", "Detected"), cells)


def folders_table(folders: FolderTotals, shift_s: int) -> Html:
    """Return what was completed in each folder; clocks here are `shift_s` ahead of UTC."""
    zone = timezone(timedelta(seconds=shift_s))
    latest = folders.latest()
    rows = [
        (
            (_PATH, text("all others") if folder == OTHERS else name(folder)),
            (_NUMBER, text(f"{total.versions:,}")),
            (_NUMBER, text(shown_size(total.size))),
            (
                "",
                time(datetime.fromtimestamp(total.last_s, zone).isoformat()) if total.last_s else text("unknown"),
            ),
        )
        for folder, total in latest[:_MAX_FOLDERS]
    ]
    left = (
        f"; {counted(len(latest) - _MAX_FOLDERS, 'folder')} more in the table"
        if len(latest) > _MAX_FOLDERS
        else ""
    )
    deep = counted(folders.depth, "level")
    caption = f"Versions by folder, to a depth of {deep}, the one with the newest at the top{left}"
    return table(caption, ("Folder", "Versions", "Bytes", "Last"), rows)


def newest_table(rows: Sequence[CompletedRow], history: History, total: int) -> Html:
    """Return the versions that were completed last."""
    cells = [
        (
            (_PATH, name(row.rel_filepath)),
            (_NUMBER, text(shown_size(row.size))),
            ("", time(row.completed)),
            ("", text("unknown") if row.xxh3_128 == NO_DIGEST else element("code", text(row.xxh3_128))),
        )
        for row in rows
    ]
    left = total - len(rows)
    more = f"; {left:,} older ones are left out here: the table has all" if left else ""
    unclear = f"; {history.timeless:,} have a time that cannot be right" if history.timeless else ""
    caption = f"The {counted(len(rows), 'version')} completed last{more}{unclear}"
    return table(caption, ("Path", "Size", "Completed", "XXH3-128 digest"), cells)


def acknowledged_bytes(row: InProgressRow) -> int:
    """Return how much of a file is acknowledged, in whole chunks."""
    return min(row.size, row.n_chunks_delivered * row.chunk_size)


def _caption(what: str, rows: Sequence[InProgressRow]) -> str:
    left = len(rows) - _MAX_FILES
    return f"{what}; {left:,} more are left out here" if left > 0 else what
