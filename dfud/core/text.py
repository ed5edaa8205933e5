"""Text for people: what can be printed without harm, and numbers that agree with their nouns."""

from __future__ import annotations

import os

LAYOUT = "\n\t"  # what `escaped` is to keep in a text of several lines


def printable(path: bytes) -> str:
    """Return `path` as one printable line: control characters and stray bytes are escaped."""
    return escaped(os.fsdecode(path))


def escaped(text: str, keep: str = "") -> str:
    r"""Return `text` with everything escaped that is not printable, but for the characters in `keep`.

    A terminal does what control characters say, whoever wrote them into a file name, a table or a message.

    >>> escaped("scan\x1b[2J of\ttoday", keep="\t")
    'scan\\x1b[2J of\ttoday'
    """
    if text.isprintable():
        return text
    return "".join(
        character
        if character.isprintable() or character in keep
        else repr(character)[1:-1].replace("\\udc", "\\x")
        for character in text
    )


def counted(number: int, noun: str, plural: str = "") -> str:
    """Return a number with its noun; `plural` where it is not the noun with an "s".

    >>> counted(1, "folder"), counted(1_200, "file"), counted(2, "entry", "entries")
    ('1 folder', '1,200 files', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
