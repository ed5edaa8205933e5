"""Text for people: paths that can be printed, and numbers that agree with their nouns."""

from __future__ import annotations

import os


def printable(path: bytes) -> str:
    """Return `path` as one printable line: control characters and stray bytes are escaped."""
    text = os.fsdecode(path)
    if text.isprintable():
        return text
    return "".join(
        character if character.isprintable() else repr(character)[1:-1].replace("\\udc", "\\x")
        for character in text
    )


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun; `plural` where it is not the noun with an "s".

    >>> counted(1, "folder"), counted(1_200, "file"), counted(2, "entry", "entries")
    ('1 folder', '1,200 files', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
