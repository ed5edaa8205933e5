"""From which time on the chunks of OpenMSIStream's files are looked for, while several downloads share a topic.

They lie near the first chunk, unless they were sent again after hours: each file is looked for in a minute before
its first chunk, then in more, at last in everything.
"""

from __future__ import annotations

from collections.abc import Callable

_WIDENINGS_S = (60.0, 3_600.0, 86_400.0)  # before the first chunk; then from the beginning
_ALL = len(_WIDENINGS_S) + 1  # searches, after which the whole topic was searched


class SearchPlan:
    """Responsible for which files are looked for, and for how far back the next search has to go."""

    def __init__(self) -> None:
        """Begin with no file."""
        self._first_ms: dict[bytes, int] = {}  # by identity, the time of the first chunk (ms since 1970)
        self._in_vain: dict[bytes, int] = {}  # by identity, how many searches did not find all of it
        self._sought: set[bytes] = set()  # what the present search is for

    def __contains__(self, identity: bytes) -> bool:
        """Return whether the chunks of a version are looked for."""
        return identity in self._first_ms

    def __len__(self) -> int:
        """Return how many versions are looked for."""
        return len(self._first_ms)

    @property
    def has_next(self) -> bool:
        """Whether there is a version for which not all of the topic was searched."""
        return any(number < _ALL for number in self._in_vain.values())

    def add(self, identity: bytes, first_ms: int) -> None:
        """Look for a version; a search that has begun may have passed its chunks."""
        self._first_ms[identity] = first_ms
        self._in_vain[identity] = 0
        self._sought.discard(identity)

    def keep(self, is_wanted: Callable[[bytes], bool]) -> None:
        """Look no more for the other versions."""
        for identity in [each for each in self._first_ms if not is_wanted(each)]:
            del self._first_ms[identity], self._in_vain[identity]
            self._sought.discard(identity)

    def restart(self) -> None:
        """Look for all of it once more, as in the beginning."""
        self._in_vain = dict.fromkeys(self._in_vain, 0)
        self._sought.clear()

    def clear(self) -> None:
        """Look for nothing any more."""
        self._first_ms.clear()
        self._in_vain.clear()
        self._sought.clear()

    def start_ms(self) -> int:
        """Return from which time on the next search has to read; 0 for the beginning."""
        return max(0, min(self._start_ms(each) for each, number in self._in_vain.items() if number < _ALL))

    def on_start(self) -> None:
        """Note that the next search has begun."""
        self._sought = {identity for identity, number in self._in_vain.items() if number < _ALL}

    def on_end(self, start_ms: int) -> bool:
        """Note that a search from `start_ms` on is over; return whether it was in vain for any version."""
        for identity in self._sought:
            self._in_vain[identity] = self._in_vain[identity] + 1 if start_ms else _ALL
        return bool(self._sought)

    def _start_ms(self, identity: bytes) -> int:
        number = self._in_vain[identity]
        if number >= len(_WIDENINGS_S):
            return 0
        return round(self._first_ms[identity] - 1000 * _WIDENINGS_S[number])
