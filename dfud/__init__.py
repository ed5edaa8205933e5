"""dfud: upload what an instrument writes to Apache Kafka, and lose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfud.api import TopicFile, download, read_files, upload
    from dfud.errors import DfudError, LockedError, UsageError

__all__ = [
    "DfudError",
    "LockedError",
    "TopicFile",
    "UsageError",
    "__version__",
    "download",
    "read_files",
    "upload",
]

__version__ = "0.1.0"

_ERRORS = ("DfudError", "LockedError", "UsageError")


def __getattr__(name: str) -> Any:
    """Import what is asked for, and only then: the commands have no use for it."""
    if name in __all__:
        from importlib import import_module

        return getattr(import_module("dfud.errors" if name in _ERRORS else "dfud.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
