"""Directories of other uploads above or below: one upload would send the tables of the other, again and again."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import PurePath

from dfud.core.names import LOGS, UploadFilter
from dfud.core.text import escaped, printable
from dfud.logs.layout import names_topic

_AGAIN = "would be sent again with each change, without end"


def warn_of_uploads_below(directory: bytes, folders: Iterable[bytes], path_filter: UploadFilter) -> Iterator[str]:
    """Yield warnings about those of the `folders` below the directory that are LOGS of other uploads."""
    for folder in folders:
        if any(
            path_filter.accepts(os.path.join(folder, name)) for name in _tables(os.path.join(directory, folder))
        ):
            below = printable(os.path.dirname(folder))
            yield (
                f"{below} has LOGS of an upload of its own, and its tables {_AGAIN}; end one of the two uploads, "
                f"give that one a --state_dir outside, or let --upload_regex leave {below} out"
            )


def warn_of_uploads_above(logs: str) -> Iterator[str]:
    """Yield a warning if `logs` is, or would be, below a directory that is uploaded itself."""
    for above in list(PurePath(logs).parents)[1:]:
        if any(_tables(os.path.join(os.fsencode(above), LOGS))):
            yield (
                f"{escaped(os.fspath(above))} is uploaded, too, and the tables of this upload {_AGAIN}; end one "
                "of the two uploads, or give this one a --state_dir outside"
            )
            return


def _tables(folder: bytes) -> Iterator[bytes]:
    """Yield the names of the tables and locks in what may be LOGS."""
    try:
        names = os.listdir(folder)
    except OSError:
        return
    yield from (name for name in names if names_topic(os.fsdecode(name)))
