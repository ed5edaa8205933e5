"""What is going on, as a display shows it: made by whoever does the work, painted by `lines`."""

from __future__ import annotations

from typing import Callable, Literal, NamedTuple

Tone = Literal["", "good", "doubtful", "bad", "quiet"]


class Fact(NamedTuple):
    """A few words, and how they are meant."""

    text: str
    tone: Tone = ""


class Transfer(NamedTuple):
    """A file that is on its way."""

    name: str  # printable
    done: int  # bytes
    size: int  # bytes


class Activity(NamedTuple):
    """All that is shown at one time."""

    facts: tuple[Fact, ...]  # the most important ones first
    share: float | None = None  # that is done, from 0 to 1; None if nobody knows
    amount: str = ""  # beside the share, such as "1.2 GB of 2.0 GB"
    transfers: tuple[Transfer, ...] = ()
    n_more: int = 0  # files on their way that are not among `transfers`
    is_idle: bool = False  # nothing changes until something happens


Describe = Callable[[float], Activity]  # at a time (s, monotonic)
