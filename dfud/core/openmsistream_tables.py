"""The tables that OpenMSIStream leaves in LOGS: their rows, read without trusting them.

A row is a line of cells, separated by ";" and quoted by '"' if necessary. Each cell is the `repr` of a Python
value: ``'name.tif'`` or ``"it's.tif"``, ``12``, ``'Mon Nov 23, 2026 at 15:43:56'`` (local time), ``{1, 2, 7}`` or
``set()``. Nothing is evaluated: strings, numbers and sets of numbers are parsed here by their grammar, because
`ast.literal_eval` accepts far more, and takes several times the time and memory for a large set.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import NamedTuple, TypeVar

from dfud.core.ranges import RangeSet
from dfud.core.tables import BadRow, checked_path
from dfud.core.text import counted, escaped

IN_PROGRESS_FIELDS = (
    "filename", "rel_filepath", "n_chunks", "n_chunks_delivered", "n_chunks_to_send", "started",
    "chunks_delivered", "chunks_to_send",
)  # fmt: skip
COMPLETED_FIELDS = ("filename", "rel_filepath", "n_chunks", "started", "completed")
_DELIMITER = ";"
_EXCEL_LINE = "sep=;"  # the first line that it writes on Windows


class OpenMSIInProgressRow(NamedTuple):
    """A file of which some chunks were acknowledged to OpenMSIStream, but not all."""

    rel_filepath: str
    n_chunks: int
    delivered: RangeSet
    started: datetime  # local time, when the first chunk was acknowledged


class OpenMSICompletedRow(NamedTuple):
    """A file of which all chunks were acknowledged to OpenMSIStream."""

    rel_filepath: str
    n_chunks: int
    started: datetime  # local time
    completed: datetime  # local time, in whole seconds, rounded down


Row = TypeVar("Row", OpenMSIInProgressRow, OpenMSICompletedRow)

_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
_TIME = re.compile(r"'\w+ (\w{3}) (\d{1,2}), (\d{4}) at (\d{2}):(\d{2}):(\d{2})'", re.ASCII)
_NUMBERS = re.compile(r"[{\[(] *(\d{1,18}(?: *, *\d{1,18})*)? *,? *[}\])]", re.ASCII)
_NO_NUMBERS = ("set()", "frozenset()", "{}", "[]", "()")
_ESCAPE = re.compile(r"\\(?:x([0-9a-f]{2})|u([0-9a-f]{4})|U([0-9a-f]{8})|([\\'\"nrt])|.|$)", re.ASCII | re.DOTALL)
_ESCAPED = {"\\": "\\", "'": "'", '"': '"', "n": "\n", "r": "\r", "t": "\t"}


def is_openmsistream(lines: Iterable[str]) -> bool:
    """Return whether a table is one of OpenMSIStream's, by its first lines."""
    for line in lines:
        text = line.strip()
        if text and text != _EXCEL_LINE:
            return tuple(text.split(_DELIMITER)) in (IN_PROGRESS_FIELDS, COMPLETED_FIELDS)
    return False


def read_openmsi_in_progress(lines: Iterable[str]) -> Iterator[OpenMSIInProgressRow | BadRow]:
    """Read an in-progress table from its lines."""
    return _read(lines, IN_PROGRESS_FIELDS, _in_progress_row)


def read_openmsi_completed(lines: Iterable[str]) -> Iterator[OpenMSICompletedRow | BadRow]:
    """Read a completed table, or several concatenated ones."""
    return _read(lines, COMPLETED_FIELDS, _completed_row)


def _read(
    lines: Iterable[str], fields: tuple[str, ...], parse: Callable[[Sequence[str]], Row]
) -> Iterator[Row | BadRow]:
    for number, line in enumerate(lines, 1):
        text = line.strip("\r\n")
        if not text.strip() or text.strip() == _EXCEL_LINE:
            continue
        try:
            cells = next(csv.reader([text], delimiter=_DELIMITER, strict=True))
            if tuple(cells) == fields:
                continue
            if len(cells) != len(fields):
                raise ValueError(f"it has {counted(len(cells), 'column')} instead of {len(fields)}")
            yield parse(cells)
        except (ValueError, csv.Error) as error:
            yield BadRow(number, text, escaped(str(error)))


def _in_progress_row(cells: Sequence[str]) -> OpenMSIInProgressRow:
    _, path, n_chunks, _, _, started, delivered, to_send = cells
    count = _count(n_chunks)
    missing = _numbers(to_send)
    # A chunk that neither column lists, or both do, is sent: rather twice than never.
    done = RangeSet(
        (first, min(last, count)) for first, last in _without(_numbers(delivered), missing) if first <= count
    )
    return OpenMSIInProgressRow(checked_path(_string(path)), count, done, _time(started))


def _completed_row(cells: Sequence[str]) -> OpenMSICompletedRow:
    _, path, n_chunks, started, completed = cells
    return OpenMSICompletedRow(checked_path(_string(path)), _count(n_chunks), _time(started), _time(completed))


def _without(numbers: RangeSet, others: RangeSet) -> RangeSet:
    """Return those of `numbers` that are not in `others`."""
    if not numbers:
        return numbers
    *_, (_, highest) = numbers
    kept = numbers.missing(highest)
    kept.update(others)
    return kept.missing(highest)


def _string(text: str) -> str:
    """Return the string of which `text` is the `repr`."""
    quote = text[:1]
    inner = text[1:-1]
    if len(text) < 2 or quote not in ("'", '"') or text[-1] != quote:
        raise ValueError(f"{text[:80]} is not quoted text")
    if "\\" not in inner:
        return inner
    return _ESCAPE.sub(_unescaped, inner)


def _unescaped(match: re.Match[str]) -> str:
    digits = match[1] or match[2] or match[3]
    if digits:
        try:
            return chr(int(digits, 16))
        except (OverflowError, ValueError):  # which one depends on the number and on Python's version
            raise ValueError(f"{match[0]} is beyond the last character") from None
    if match[4]:
        return _ESCAPED[match[4]]
    raise ValueError(f"{match[0]} is not an escape of a Python string")


def _numbers(text: str) -> RangeSet:
    """Return the numbers of the `repr` of a set or a list."""
    if text in _NO_NUMBERS:
        return RangeSet()
    match = _NUMBERS.fullmatch(text)
    if match is None:
        raise ValueError(f"{text[:80]} is not a set of chunk numbers")
    numbers = sorted(map(int, match[1].split(","))) if match[1] else []
    if numbers and numbers[0] < 1:
        raise ValueError("there is no chunk 0")
    return RangeSet((number, number) for number in dict.fromkeys(numbers))


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18) or int(text) < 1:
        raise ValueError(f"{text[:80]} is not a number of chunks")
    return int(text)


def _time(text: str) -> datetime:
    match = _TIME.fullmatch(text)
    if match is None or match[1] not in _MONTHS:
        raise ValueError(f"{text[:80]} is not a time")
    day, year, hour, minute, second = map(int, match.groups()[1:])
    if year < 1971:
        raise ValueError(f"{text} is before the first file")
    return datetime(year, _MONTHS.index(match[1]) + 1, day, hour, minute, second)
