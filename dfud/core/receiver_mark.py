"""What a download that sends receipts writes beside the offsets that it commits: a mark of its receiver's name.

By it, others know whose offsets these are. The name itself may be longer than Kafka allows there.
"""

from __future__ import annotations

import xxhash

_SEPARATOR = " receiver="


def receiver_mark(receiver: str) -> str:
    """Return the text that is appended to the metadata of a committed offset.

    >>> receiver_mark("archive")
    ' receiver=e82ef4134354fb4c'
    """
    return _SEPARATOR + xxhash.xxh3_64_hexdigest(receiver.encode("utf-8", "surrogateescape"))


def split_mark(metadata: str) -> tuple[str, str]:
    """Return the metadata of a committed offset without its mark, and the mark; "" if it has none.

    >>> split_mark("sLhTzZ8pQ1 receiver=e82ef4134354fb4c")
    ('sLhTzZ8pQ1', ' receiver=e82ef4134354fb4c')
    """
    rest, separator, digest = metadata.partition(_SEPARATOR)
    return rest, separator + digest
