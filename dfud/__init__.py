"""dfud: upload the files of an instrument to Apache Kafka, and lose nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dfud.api import download, upload
    from dfud.errors import DfudError, LockedError, UsageError
    from dfud.receipts.writing import Receipts
    from dfud.topic_files import TopicFile, read_files

__all__ = [
    "DfudError",
    "LockedError",
    "Receipts",
    "TopicFile",
    "UsageError",
    "__version__",
    "download",
    "read_files",
    "upload",
]

__version__ = "0.1.0"

_MODULES = {
    "DfudError": "dfud.errors",
    "LockedError": "dfud.errors",
    "UsageError": "dfud.errors",
    "Receipts": "dfud.receipts.writing",
    "TopicFile": "dfud.topic_files",
    "read_files": "dfud.topic_files",
    "download": "dfud.api",
    "upload": "dfud.api",
}


def __getattr__(name: str) -> Any:
    """Import a public name when it is first used, so that ``import dfud`` stays cheap: the commands need none."""
    if name in _MODULES:
        from importlib import import_module

        return getattr(import_module(_MODULES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
