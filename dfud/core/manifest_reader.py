"""Manifests put together from their parts, as these come from a topic."""

from __future__ import annotations

from dfud.core.manifest import Manifest, ManifestPart, RawHeaders, manifest_of

MAX_HELD_BYTES = 256 << 20  # of the values of parts of incomplete manifests
_Key = tuple[bytes, str]  # path of the run, id of the manifest


class ManifestReader:
    """Responsible for the manifests of which some parts have come, and others have not.

    What is held is bounded: of several incomplete manifests the oldest is dropped, with one that nobody completes.
    """

    def __init__(self, max_bytes: int = MAX_HELD_BYTES) -> None:
        """Hold at most `max_bytes` of incomplete manifests."""
        self._max_bytes = max_bytes
        self._held_bytes = 0
        self._parts: dict[
            _Key, dict[int, tuple[ManifestPart, int]]
        ] = {}  # by number, with the length of the value

    def add(self, key: bytes | None, value: bytes | None, headers: RawHeaders) -> Manifest | None:
        """Take a message for which `is_manifest` is true; return its manifest if that is complete now.

        Raises ValueError, which says why, if it cannot be used.
        """
        part = ManifestPart.decode(key, value, headers)
        if part.n_parts == 1:
            return manifest_of([part])
        name = part.head.run, part.id
        held = self._parts.setdefault(name, {})
        if held and next(iter(held.values()))[0].n_parts != part.n_parts:  # it was sent again in other parts
            self._drop(name)
            held = self._parts[name] = {}
        length = len(value or b"")
        self._held_bytes += length - held.get(part.number, (part, 0))[1]
        held[part.number] = part, length
        if len(held) == part.n_parts:
            self._drop(name)
            return manifest_of([held[number][0] for number in range(1, part.n_parts + 1)])
        while self._held_bytes > self._max_bytes and self._parts:
            self._drop(next(iter(self._parts)))
        return None

    def _drop(self, name: _Key) -> None:
        self._held_bytes -= sum(length for _, length in self._parts.pop(name).values())
