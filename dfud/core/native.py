"""The native messages: a chunk's bytes as the value, all that a reader needs in readable headers.

The format is described in the README under "Messages".
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Union

from dfud.core.chunks import count_chunks
from dfud.core.version import FileVersion

Headers = list[tuple[str, Union[str, bytes, None]]]  # as confluent_kafka takes them

# A message's bytes beside its value: record batch header (61), record framing (15), all headers (190), and a
# path of several hundred bytes. A path longer than that makes its own file fail, with the broker's reason.
MESSAGE_OVERHEAD = 1024


def header_maker(version: FileVersion, chunk_size: int) -> Callable[[int, bytes], Headers]:
    """Return a function of (chunk number, hex digits of its xxh3_64) that gives the headers of that chunk.

    What is the same in all chunks of a file is encoded once. The last chunk's ``xxh3_128`` is appended by
    the caller, who knows it only when the whole file has been read.
    """
    n_chunks = count_chunks(version.size, chunk_size)
    upload_id = ("upload_id", version.upload_id())
    size = ("size", b"%d" % version.size)
    mtime_ns = ("mtime_ns", b"%d" % version.mtime_ns)

    def headers(number: int, xxh3_64: bytes) -> Headers:
        return [
            upload_id,
            ("chunk", b"%d/%d" % (number, n_chunks)),
            ("offset", b"%d" % ((number - 1) * chunk_size)),
            size,
            mtime_ns,
            ("xxh3_64", xxh3_64),
        ]

    return headers
