"""Files that dfud writes for systemd, and that their reader may change: then they are theirs, and not replaced.

The first line has a digest of the rest, so that a later version of dfud can tell.
"""

from __future__ import annotations

import enum
import os
import re
from typing import NamedTuple

import xxhash

from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder

_FIRST_LINE = '# Written by "dfud service install" (digest %s). Once you have changed it, it is not replaced.'
_IS_FIRST_LINE = re.compile(re.escape(_FIRST_LINE).replace("%s", "([0-9a-f]{16})").encode())
_MAX_BYTES = 1 << 20


class Present(enum.Enum):
    """What is at the path of a file now."""

    NOTHING = "nothing"
    SAME = "the same"
    OLDER = "what dfud has written, and nobody has changed"
    OTHER = "what somebody has written or changed"


class OwnedFile(NamedTuple):
    """A file as it is to be."""

    path: str
    text: str  # after the first line
    mode: int

    @property
    def content(self) -> bytes:
        """All that it is to have."""
        digest = xxhash.xxh3_64_hexdigest(self.text.encode())
        return f"{_FIRST_LINE % digest}\n{self.text}".encode()

    def present(self) -> Present:
        """Return what is there; UsageError for a link or what cannot be read: nothing is written through it."""
        content = _read(self.path)
        if content is None:
            return Present.NOTHING
        if content == self.content:
            return Present.SAME
        return Present.OLDER if _is_unchanged(content) else Present.OTHER

    def write(self) -> None:
        """Make or replace it; OSError if that fails. What somebody has changed is kept beside it, as .bak."""
        folder = _folder_of(self.path)
        os.makedirs(folder.path, exist_ok=True)
        keep_changed(self.path)
        descriptor, temporary = folder.open_beside(self.path)
        with open(descriptor, "wb") as file:
            os.fchmod(file.fileno(), self.mode)
            file.write(self.content)
            file.flush()
            os.fsync(file.fileno())
        folder.rename(temporary, self.path)


def keep_changed(path: str) -> bool:
    """Rename a file that somebody has written or changed to .bak; return whether there was one."""
    content = _read(path)
    if content is None or _is_unchanged(content):
        return False
    _folder_of(path).rename(path, path + ".bak")
    return True


def _is_unchanged(content: bytes) -> bool:
    """Return whether dfud has written `content`, and nobody has changed it."""
    first, _, rest = content.partition(b"\n")
    match = _IS_FIRST_LINE.fullmatch(first)
    return match is not None and match[1].decode() == xxhash.xxh3_64_hexdigest(rest)


def _read(path: str) -> bytes | None:
    folder = _folder_of(path)
    try:
        if not os.path.isdir(folder.path) or not folder.exists(path):
            return None
        with folder.open_to_read(path) as file:
            return file.read(_MAX_BYTES)
    except OSError as error:
        raise UsageError(f"cannot read {error.filename or path}: {error.strerror}") from None


def _folder_of(path: str) -> OpenFolder:
    return OpenFolder(*os.path.split(os.path.dirname(path)))
