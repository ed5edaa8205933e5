"""Topics that differ only in case, on a file system that ignores case: they would share their tables."""

from __future__ import annotations

from dfud.errors import UsageError
from dfud.logs.layout import MAX_TOPIC_CHARS, LogsFolder, topics


def check_spelling(folder: LogsFolder) -> None:
    """Raise UsageError if the files of the topic are those of another one; OSError if they cannot be read."""
    if not folder.ignores_case:
        return
    owner = _read(folder)
    if owner is None:  # older versions left no such file; some file systems list all names in lower case
        similar = [each for each in topics(folder) if each.lower() == folder.topic.lower()]
        others = [each for each in similar if each not in (folder.topic, folder.topic.lower())]
        owner = others[0] if others else folder.topic
    if owner != folder.topic:
        raise UsageError(
            f"topics {folder.topic} and {owner} would have the same tables in {folder.path}, as this file system "
            "ignores case; use --state_dir with a folder on another one"
        )


def record_spelling(folder: LogsFolder) -> None:
    """Write down which topic the files belong to, where their names do not say it; OSError if that fails."""
    if folder.ignores_case and _read(folder) is None:
        folder.replace(folder.spelling, [folder.topic.encode()])


def _read(folder: LogsFolder) -> str | None:
    try:
        with folder.open_to_read(folder.spelling) as file:
            return file.read(MAX_TOPIC_CHARS + 1).decode(errors="replace")
    except FileNotFoundError:
        return None
