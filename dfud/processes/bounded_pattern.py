"""Matching a user's regular expression with a stranger's name, on which it may backtrack without end.

By hand, because Python's `re` looks for signals while it matches, so that a timer can end it, for 1.2 us a name.
The module `regex` has a timeout, for 2.9 us, and `re2` needs none, but knows neither lookahead nor names that are
not UTF-8; with either, the same pattern may mean something else.
"""

from __future__ import annotations

import re
import signal
from types import FrameType

from dfud.core.names import UndecidedError

# In CPU time of this process, so that a machine that is busy, or was asleep, changes nothing.
_TIMEOUT_S, _MIN_TIMEOUT_S = 0.25, 0.001


class BoundedPattern:
    """A regular expression that is given up on a text after a while; one in a process, for its main thread."""

    def __init__(self, regex: str) -> None:
        """Compile the expression; `re.error` for an invalid one. SIGVTALRM is used from now on."""
        self._match = re.compile(regex, re.DOTALL).match
        self._is_matching = False
        self._undecided = 0
        signal.signal(signal.SIGVTALRM, self._on_timer)

    def __call__(self, text: str) -> bool:
        """Return whether the text matches from its start; UndecidedError if that takes too long.

        The more texts have taken too long, the less time has the next one: who plants many holds nothing up.
        """
        timeout_s = max(_MIN_TIMEOUT_S, _TIMEOUT_S / (1 + self._undecided))
        try:
            self._is_matching = True
            signal.setitimer(signal.ITIMER_VIRTUAL, timeout_s)
            return self._match(text) is not None
        except UndecidedError:
            self._undecided += 1
            raise
        finally:
            self._is_matching = False
            signal.setitimer(signal.ITIMER_VIRTUAL, 0)

    def _on_timer(self, _number: int, _frame: FrameType | None) -> None:
        if self._is_matching:
            raise UndecidedError
