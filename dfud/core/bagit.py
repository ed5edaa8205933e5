"""The text of the files that make a folder a bag of BagIt (RFC 8493).

A bag is written as version 0.97, like those of bagit-python, which the Library of Congress maintains: version 1.0
has a "%" in a name escaped, which that program, and others, read as the name of another file.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from dfud.core.text import escaped

DECLARATION = b"BagIt-Version: 0.97\nTag-File-Character-Encoding: UTF-8\n"
DECLARATION_NAME, INFO_NAME = "bagit.txt", "bag-info.txt"
MANIFEST_NAME, TAG_MANIFEST_NAME = "manifest-sha256.txt", "tagmanifest-sha256.txt"
TAG_FILES = (DECLARATION_NAME, INFO_NAME, MANIFEST_NAME, TAG_MANIFEST_NAME)
_ESCAPE = re.compile("%0[AaDd]")
_CUT = re.compile("[\x0b\x0c\x1c-\x1e\x85\u2028\u2029]|\\s\\Z")  # where Python ends a line, and what it strips


def name_fault(path: bytes) -> str:
    """Return why a bag cannot name a file so that bagit-python finds it, or "" if it can.

    >>> name_fault(b"image.tif"), name_fault(b"50%.tif")
    ('', '')
    """
    try:
        text = path.decode("utf-8")
    except UnicodeDecodeError:
        return "its path is not UTF-8"
    if _ESCAPE.search(text):
        return "it has %0A or %0D in its path, which stand for a line feed and a carriage return there"
    if _CUT.search(text):
        return "its path has a character at which readers of bags end a line, or ends with white space"
    return ""


def manifest_line(digest: str, path: bytes) -> bytes:
    """Return the line for a file with this SHA-256 in hex digits, whose path in the bag `name_fault` accepts."""
    return b"%s  %s\n" % (digest.encode(), path.replace(b"\r", b"%0D").replace(b"\n", b"%0A"))


def info_text(fields: Iterable[tuple[str, str]]) -> bytes:
    """Return the text of bag-info.txt."""
    return "".join(f"{name}: {escaped(value)}\n" for name, value in fields).encode()
