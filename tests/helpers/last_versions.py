"""Which version of each path a topic has last, by the description of the messages alone."""

from __future__ import annotations

import os
from collections import defaultdict
from pathlib import Path

import xxhash

from tests.helpers.reader import read_topic
from tests.helpers.uploading import tree


def last_versions(bootstrap: str, topic: str) -> dict[bytes, bytes]:
    """Return the contents of the files that a topic has last; a file voids what is below its path, or above it.

    So it does with the chunks of versions that are incomplete.
    """
    chunks: dict[tuple[bytes, bytes], dict[int, bytes]] = defaultdict(dict)  # by key and upload id
    last: dict[bytes, bytes] = {}
    # Of one partition they come in the order of their offsets; between partitions their time counts.
    messages = sorted(read_topic(bootstrap, topic), key=lambda each: each.timestamp_ms)
    for message in messages:
        path = message.key
        number, n_chunks = map(int, message.headers["chunk"].split(b"/"))
        collected = chunks[path, message.headers["upload_id"]]
        collected[number] = message.value or b""
        if number == n_chunks:
            collected[0] = message.headers["xxh3_128"]
        if len(collected) == n_chunks + 1:
            content = b"".join(collected[each] for each in range(1, n_chunks + 1))
            assert xxhash.xxh3_128_hexdigest(content).encode() == collected[0], path
            for other in [each for each in last if _are_rivals(each, path)]:
                del last[other]
            last[path] = content
            for key in [key for key in chunks if key[0] == path or _are_rivals(key[0], path)]:
                del chunks[key]
    return last


def _are_rivals(path: bytes, other: bytes) -> bool:
    return path.startswith(other + b"/") or other.startswith(path + b"/")


def assert_topic_has_what_is_there(directory: Path, bootstrap: str, topic: str) -> None:
    """Check that a topic has the present content of each file last."""
    last = last_versions(bootstrap, topic)
    for path, content in tree(directory).items():
        assert last.get(path) == content, os.fsdecode(path)
