"""What of a topic a download could not read: reported when it is found, summed up at the end."""

from __future__ import annotations

import logging

import msgspec

from dfud.core.ranges import RangeSet
from dfud.core.text import counted
from dfud.kafka.gaps import gap_text, offsets_text
from dfud.messages import Gap, Hidden, UnfinishedElsewhere

_MAX_NAMED = 20  # ranges of offsets, at the end


class Shortfalls:
    """Responsible for reporting each thing that is missing once, whichever fetcher finds it again."""

    def __init__(self, topic: str, topic_id: str, log: logging.Logger) -> None:
        """Begin with nothing missing of the topic with this id."""
        self.topic_id = topic_id
        self._topic = topic
        self._log = log
        self._gaps: dict[tuple[str, int], RangeSet] = {}  # by topic id and partition; offsets are counted from 1
        self._hidden: dict[int, Hidden] = {}  # by partition
        self._refusals: dict[int, str] = {}  # reasons, by number of the fetcher
        self._gone: set[int] = set()  # numbers of the fetchers that find no topic
        self._was_replaced = False
        self._unfinished: set[int] = set()  # partitions

    def add_gap(self, gap: Gap) -> None:
        """Report offsets that were not read, but for those that were reported before."""
        known = self._gaps.setdefault((gap.topic_id, gap.partition), RangeSet())
        for first, last in known.gaps(gap.first + 1, gap.last + 1):
            self._log.error(gap_text(msgspec.structs.replace(gap, first=first - 1, last=last - 1)))
        known.add(gap.first + 1, gap.last + 1)

    def set_hidden(self, hidden: Hidden) -> None:
        """Report offsets that an open transaction hides, and that it has ended."""
        if hidden.last < hidden.first:
            if self._hidden.pop(hidden.partition, None) is not None:
                self._log.warning(
                    f"partition {hidden.partition}: the transaction has ended, its messages are read"
                )
        elif self._hidden.get(hidden.partition) != hidden:
            self._hidden[hidden.partition] = hidden
            offsets = offsets_text(hidden.partition, hidden.first, hidden.last)
            self._log.warning(f"{offsets} cannot be read before a transaction ends that is open")

    def add_replaced(self, topic_id: str) -> bool:
        """Report that the topic was made anew; return whether that was not known yet."""
        if topic_id == self.topic_id:
            return False
        self.topic_id = topic_id
        self._was_replaced = True
        self._hidden.clear()
        self._log.error(
            f"topic {self._topic} was deleted and made anew: reading it from its beginning; "
            "what was not read of the old one is lost"
        )
        return True

    def add_unfinished(self, unfinished: UnfinishedElsewhere) -> None:
        """Report once that another member of the group has not read or not completed all."""
        if unfinished.partition not in self._unfinished:
            self._unfinished.add(unfinished.partition)
            self._log.error(
                f"partition {unfinished.partition}: files from offset {unfinished.first} on are not complete in "
                "another download of the group"
            )

    def set_gone(self, fetcher: int, is_gone: bool) -> None:
        """Report that the topic was deleted, and that it is there again."""
        was_gone = bool(self._gone)
        (self._gone.add if is_gone else self._gone.discard)(fetcher)
        if is_gone and not was_gone:
            self._log.error(f"topic {self._topic} was deleted: what was not read of it is lost; waiting for it")
        elif was_gone and not self._gone:
            self._log.warning(f"topic {self._topic} is there again")

    def set_refusal(self, fetcher: int, reason: str) -> None:
        """Report that the broker refuses to let us read, and that it does no longer."""
        is_known = reason in self._refusals.values()
        had_any = bool(self._refusals)
        self._refusals.pop(fetcher, None)
        if reason:
            self._refusals[fetcher] = reason
            if not is_known:
                self._log.error(f"cannot read topic {self._topic}: {reason}; retrying")
        elif had_any and not self._refusals:
            self._log.warning(f"reading topic {self._topic} works again")

    def on_fetchers_restarted(self) -> None:
        """Forget what the new fetchers will find out for themselves."""
        self._refusals.clear()
        self._gone.clear()
        self._hidden.clear()

    def finish(self) -> bool:
        """Name once more all that is missing; return whether anything is."""
        ranges = [
            offsets_text(partition, first - 1, last - 1)
            for (_, partition), gaps in sorted(self._gaps.items())
            for first, last in gaps
        ]
        ranges += [f"{offsets_text(*hidden)} (open transaction)" for hidden in map(_fields, self._hidden.values())]
        if ranges:
            more = f"; and {counted(len(ranges) - _MAX_NAMED, 'more range')}" if len(ranges) > _MAX_NAMED else ""
            self._log.error(f"not read of topic {self._topic}: {'; '.join(ranges[:_MAX_NAMED])}{more}")
        if self._was_replaced or self._gone:
            self._log.error(f"topic {self._topic} was deleted: what was not read of it before is lost")
        for reason in set(self._refusals.values()):
            self._log.error(f"topic {self._topic} was not read to its end: {reason}")
        return bool(ranges or self._was_replaced or self._gone or self._refusals or self._unfinished)


def _fields(hidden: Hidden) -> tuple[int, int, int]:
    return hidden.partition, hidden.first, hidden.last
