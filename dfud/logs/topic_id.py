"""Which topic LOGS records: a topic that is deleted and made anew has another id, and nothing of what was sent."""

from __future__ import annotations

from dfud.logs.layout import LogsFolder

_MAX_BYTES = 100


def read_topic_id(folder: LogsFolder) -> str:
    """Return the id of the topic that the tables are about, "" if it is unknown; OSError if it cannot be read."""
    try:
        with folder.open_to_read(folder.topic_id) as file:
            return file.read(_MAX_BYTES).decode("ascii", "replace").strip()
    except FileNotFoundError:
        return ""


def write_topic_id(folder: LogsFolder, topic_id: str) -> None:
    """Record the id of the topic that the tables are about; OSError if that fails."""
    folder.replace(folder.topic_id, [topic_id.encode() + b"\n"])
