"""What the completed table says, for tests."""

from __future__ import annotations

from collections.abc import Mapping

from dfud.core.version import FileVersion
from dfud.logs.completed.recorded import RecordedVersions


def record(recorded: RecordedVersions, version: FileVersion, digest: bytes = bytes(16)) -> None:
    """Record a version."""
    recorded.add(version.path, version.identity(), digest)


def recorded_versions(known: Mapping[FileVersion, bytes] | None = None) -> RecordedVersions:
    """Return what is recorded once the versions `known` are, in their order, with their digests."""
    recorded = RecordedVersions()
    for version, digest in (known or {}).items():
        record(recorded, version, digest)
    return recorded


def digest_of(recorded: RecordedVersions, version: FileVersion) -> bytes | None:
    """Return the digest of a version if it was recorded last of its path, else None."""
    return recorded.digest(version, version.identity())


def are_rivals(path: bytes, other: bytes) -> bool:
    """Return whether only one of two paths can be there."""
    return path == other or path.startswith(other + b"/") or other.startswith(path + b"/")


def is_last(rows: list[FileVersion], version: FileVersion) -> bool:
    """Return whether a version is the last in `rows` of all that cannot be there together with it."""
    return next((row for row in reversed(rows) if are_rivals(row.path, version.path)), None) == version
