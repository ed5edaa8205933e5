"""Whether a file may go: pure, and never yes unless all receivers have its very bytes."""

from __future__ import annotations

from collections.abc import Collection
from enum import Enum

from dfud.receipts.required import Required
from dfud.releasing.recorded_rows import RecordedUpload

# The kernel's clock for ctimes has ticks, of 10 ms at most: a change that comes just after the detection may bear
# a time just before it. So may times that file systems round: to seconds, or to two of them.
_TICK_NS, _COARSE_TICK_NS, _SECOND_NS = 20_000_000, 2_000_000_000, 1_000_000_000


class Evidence(Enum):
    """What proves which bytes a file has."""

    NONE = "not recorded as uploaded"  # in its present version
    READING = "to be read"  # its row does not say which bytes it has now
    ROW = "its row"  # it has not changed since it was detected, and its row has the digest


def evidence_of(ctime_ns: int, row: RecordedUpload | None, trusts_ctime: bool, reads_all: bool) -> Evidence:
    """Return what there is to prove which bytes a file has; `row` is that of its present version, None for none.

    Size and modification time, by which the row was found, anybody can put back; the time of its last change
    (`ctime_ns`) nobody can. It tells only where this machine's clock made it (`trusts_ctime`).
    """
    if row is None:
        return Evidence.NONE
    is_unchanged = trusts_ctime and is_settled(ctime_ns, row.detected_ns)
    return Evidence.ROW if row.digest and is_unchanged and not reads_all else Evidence.READING


def is_settled(ctime_ns: int, now_ns: int) -> bool:
    """Return whether a change that came after `now_ns` would surely have given a file another ctime than this."""
    return ctime_ns + (_TICK_NS if ctime_ns % _SECOND_NS else _COARSE_TICK_NS) < now_ns


def may_go(
    required: Required, holders: Collection[str], evidence: Evidence, expected: bytes, read: bytes | None
) -> bool:
    """Return whether a file may go of which the receivers `holders` have the bytes with the digest `expected`.

    That is the one in its row. `read` is that of the bytes that it has now, None if they were not read.
    """
    if evidence is Evidence.NONE or not expected or not required.is_met(holders):
        return False
    return read == expected if evidence is Evidence.READING or read is not None else True
