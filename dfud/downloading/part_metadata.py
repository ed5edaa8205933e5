"""The name and the metadata of a part, which is an incomplete version of a file that is being downloaded."""

from __future__ import annotations

import json
import os
import re
from typing import NamedTuple

from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.names import path_fault
from dfud.core.ranges import RangeSet
from dfud.core.sent import Sent

_SENT = ("first", "sent", "placed")
_NAME = re.compile(r"([0-9a-f]{32})\.(\d{1,4})\.([0-9a-f]{8})")


class PartName(NamedTuple):
    """The stem that the names of a part's two files share. No name is ever used twice."""

    identity: bytes  # 16 bytes, see `Chunk.identity`
    fetcher: int  # number of the fetcher that owns the part: no other touches it
    number: str  # 8 random hex digits

    def __str__(self) -> str:
        return f"{self.identity.hex()}.{self.fetcher}.{self.number}"

    @classmethod
    def parse(cls, text: str) -> PartName | None:
        """Return the name that `text` is, or None."""
        match = _NAME.fullmatch(text)
        return cls(bytes.fromhex(match[1]), int(match[2]), match[3]) if match else None

    @classmethod
    def new(cls, identity: bytes, fetcher: int) -> PartName:
        """Return a name for a new part."""
        return cls(identity, fetcher, os.urandom(4).hex())


class PartMetadata(NamedTuple):
    """What is known about a part."""

    path: bytes  # of the file, relative
    size: int | None  # of the file in bytes; None if unknown
    mtime_ns: int | None  # None if unknown
    chunk_size: int  # bytes; 0 if unknown
    algorithm: str
    digest: str  # of the file, hex digits; "" if unknown
    spans: RangeSet  # the bytes that are present, counted from 1
    failure: str = ""  # why the part is complete but not in place
    first: Sent | None = None  # where the first of its messages was sent; None if an older dfud has written this
    sent: Sent | None = None  # where the last of them was sent
    placed: Sent | None = None  # if it began as a copy of the file in place: when that was sent

    @property
    def is_complete(self) -> bool:
        """Whether all bytes are present."""
        return self.size is not None and self.spans.covers(self.size)

    def to_json(self) -> bytes:
        """Return the content of the part's metadata file; its keys must stay, for other versions of dfud."""
        fields = self._asdict()
        fields["path"] = os.fsdecode(self.path)
        fields["spans"] = str(self.spans)
        fields["trouble"] = fields.pop("failure")
        for name in _SENT:
            if fields.pop(name) is not None:
                fields[name] = str(getattr(self, name))
        return json.dumps(fields).encode()

    @classmethod
    def from_json(cls, text: bytes) -> PartMetadata:
        """Read the content of a metadata file; ValueError if that is not one."""
        try:
            fields = json.loads(text)
            fields["path"] = os.fsencode(fields["path"])
            fields["spans"] = RangeSet.parse(fields["spans"])
            fields["failure"] = fields.pop("trouble", "")
            for name in _SENT:
                fields[name] = Sent.parse(fields.get(name, ""))
            metadata = cls(**fields)
        except (KeyError, TypeError, AttributeError, RecursionError) as error:
            raise ValueError(str(error)) from None
        numbers = metadata.size, metadata.mtime_ns, metadata.chunk_size
        if not all(number is None or type(number) is int for number in numbers) or metadata.chunk_size is None:
            raise ValueError("a number is missing or not an integer")
        if not all(isinstance(text, str) for text in (metadata.digest, metadata.failure)):
            raise ValueError("a text is not a string")
        if metadata.algorithm not in (XXH3_128, SHA512) or path_fault(metadata.path):
            raise ValueError("its algorithm or its path is not allowed")
        return metadata
