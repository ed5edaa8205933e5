"""Encoding batches of messages as MessagePack, with msgspec.

`benchmarks/micro/channels.py` compares it with the alternatives. Both ends of a channel are processes of one
program, forked from one another: the encoding may change with any version.
"""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from dfud.messages import Message

_encode = msgspec.msgpack.Encoder().encode


def pack(batch: Sequence[Message]) -> bytes:
    """Return `batch` as bytes; lone surrogates in a text, which MessagePack does not allow, are escaped."""
    try:
        return _encode(batch)
    except UnicodeEncodeError:
        return _encode([_escaped(message) for message in batch])


def _escaped(message: Message) -> Message:
    texts = {
        name: value.encode("utf-8", "backslashreplace").decode()
        for name, value in msgspec.structs.asdict(message).items()
        if isinstance(value, str)
    }
    return msgspec.structs.replace(message, **texts)
