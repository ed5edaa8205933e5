"""What a download writes into Kafka beside each offset that it commits, and finds there."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import NamedTuple

from dfud.core.receiver_mark import split_mark
from dfud.core.sent import Sent

_MAX_UNFINISHED = 300  # that fit into Kafka's offset.metadata.max.bytes, 4,096 by default, together with the rest
_SHORT_BYTES = 8  # of an identity


class Progress(NamedTuple):
    """How far a partition was read."""

    needed: int  # the offset that is committed: of the first message that may have to be read again
    position: int  # the offset of the next message
    unfinished: frozenset[bytes] | None = frozenset()  # between them, the only versions that are still needed
    # (the first 8 bytes of their identities); None for all

    def needs(self, offset: int, identity: bytes) -> bool:
        """Return whether a message of a version has to be taken by whoever continues from here."""
        return offset >= self.position or self.unfinished is None or identity[:_SHORT_BYTES] in self.unfinished


def progress(
    positions: Mapping[int, int],
    incomplete: Iterable[tuple[bytes, Sent]] = (),
    starts: Mapping[int, Progress] = MappingProxyType({}),
) -> dict[int, Progress]:
    """Return the progress of each partition.

    `positions` are the offsets of the next messages; `incomplete` the identities of files whose chunks another
    member of the group would have to read again, each with the first message that was taken; `starts` where this
    member began to read, if others had read before.

    >>> progress({0: 50, 1: 60}, [(b"version1", Sent("", 0, 42, 0))])[0]
    Progress(needed=42, position=50, unfinished=frozenset({b'version1'}))
    """
    needed = dict(positions)
    unfinished: dict[int, set[bytes]] = {number: set() for number in positions}
    for identity, first in incomplete:
        if first.partition in needed:
            needed[first.partition] = min(needed[first.partition], first.offset)
            unfinished[first.partition].add(identity[:_SHORT_BYTES])
    made = {}
    for number, offset in positions.items():
        start = starts.get(number, Progress(offset, offset))
        versions: frozenset[bytes] | None = frozenset(unfinished[number])
        if offset < start.position:  # what others have completed stays completed
            versions = None if start.unfinished is None else start.unfinished.union(unfinished[number])
        if versions is not None and len(versions) > _MAX_UNFINISHED:
            versions = None
        made[number] = Progress(needed[number], max(offset, start.position), versions)
    return made


def format_metadata(topic_id: str, made: Progress) -> str:
    """Return the text beside the offset: the topic's id, and what follows from incomplete files.

    >>> format_metadata("sLhTzZ8pQ1", Progress(42, 50, frozenset({b"version1"})))
    'sLhTzZ8pQ1 50 dmVyc2lvbjE='
    """
    if made.position == made.needed:
        return topic_id
    if made.unfinished is None:
        return f"{topic_id} {made.position}"
    names = ",".join(base64.b64encode(each).decode() for each in sorted(made.unfinished))
    return f"{topic_id} {made.position} {names}"


def parse_metadata(topic_id: str, needed: int, text: str) -> Progress | None:
    """Return the progress that was committed as offset `needed` with this text; None if it is another topic's.

    Any program may have committed anything: what is no text of ours says nothing more than the offset.
    """
    stated, _, rest = split_mark(text)[0].partition(" ")
    if stated != topic_id:
        return None
    position, _, names = rest.partition(" ")
    if not (position.isascii() and position.isdigit() and int(position) > needed):
        return Progress(needed, needed)
    try:
        versions = frozenset(base64.b64decode(name, validate=True) for name in names.split(","))
    except ValueError:
        versions = frozenset()
    return Progress(needed, int(position), versions if names and versions else None)
