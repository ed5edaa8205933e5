"""Headers of a user's own, which every message of an upload has besides those that dfud needs."""

from __future__ import annotations

from collections.abc import Iterable

from dfud.core.native import CHUNK_HEADERS

UserHeaders = tuple[tuple[str, bytes], ...]

MAX_BYTES = 4096  # of all of them, names included: they are in each message, with chunks of 16 KiB or less
_FRAMING_BYTES = 8  # of the lengths of a name and a value, at most
_OF_MANIFESTS = "manifest"  # with which all names of their headers begin


def parse_headers(texts: Iterable[str]) -> UserHeaders:
    """Return the headers that `texts` name, each as NAME=VALUE; ValueError, which says why, if one cannot be used.

    >>> parse_headers(["proposal=2026-17", "sample=a=b"])
    (('proposal', b'2026-17'), ('sample', b'a=b'))
    """
    headers: dict[str, bytes] = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not (equals and name and value):
            raise ValueError(f"{text!r} is not NAME=VALUE")
        if not text.isprintable():  # such as half of a surrogate pair, which stands for a byte that is not UTF-8
            raise ValueError(f"{text!r} has characters that cannot be printed")
        if name in CHUNK_HEADERS or name.startswith(_OF_MANIFESTS):
            raise ValueError(f"{name!r} is a header of dfud's own; choose another name")
        if name in headers:
            raise ValueError(f"{name!r} is there twice")
        headers[name] = value.encode()
    total = header_bytes(headers.items())
    if total > MAX_BYTES:
        raise ValueError(f"all headers together take {total:,} bytes, more than {MAX_BYTES:,}")
    return tuple(headers.items())


def header_bytes(headers: Iterable[tuple[str, bytes]]) -> int:
    """Return by how many bytes `headers` make a message longer, at most."""
    return sum(len(name.encode()) + len(value) + _FRAMING_BYTES for name, value in headers)
