"""What a reader does with the messages of a topic if only one run is verified."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from dfud.core.decode import headers_of
from dfud.core.place import pack, place_of
from dfud.core.version import folders_above
from dfud.messages import ManifestRead
from dfud.verifying.checker import TopicChecker

_TOP = b"."  # the key of the manifests of the directory itself
_KIND = "manifest"  # the header that only manifests have


class RunReader:
    """Responsible for passing on the chunks of one run, and its manifests."""

    def __init__(self, run: bytes, checker: TopicChecker, send: Callable[[ManifestRead], None]) -> None:
        """Pass chunks of the run at this path to `checker`, and to `send` the messages of its manifests."""
        self._key = run or _TOP
        self._start = run + b"/" if run else b""
        self._above = frozenset((run, *folders_above(run)))  # a file there is sent in place of the run
        self._checker = checker
        self._send = send

    def check(self, messages: Iterable[Any]) -> None:
        """Take messages, which are in the order of their partitions."""
        chunks = []
        for message in messages:
            key = message.key() or b""
            if key == self._key and self._is_manifest(message):
                continue
            if key.startswith(self._start) or key in self._above:
                chunks.append(message)
            else:
                self._checker.messages += 1
                self._checker.bytes += len(message.value() or b"")
        self._checker.check(chunks)

    def _is_manifest(self, message: Any) -> bool:
        headers = headers_of(message) or ()
        if not any(name == _KIND for name, _ in headers):
            return False
        texts = tuple((name, value or b"") for name, value in headers)
        self._send(ManifestRead(message.key(), message.value() or b"", texts, pack(place_of(message))))
        return True
