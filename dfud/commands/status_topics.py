"""The topics that ``dfud status`` is asked about, and why LOGS may not say anything of them."""

from __future__ import annotations

import os

from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder, topics
from dfud.logs.owner import check_owner


def chosen_topics(directory: str, topic_name: str | None, state_dir: str | None) -> list[str]:
    """Return the topics that are asked for; UsageError if LOGS has none of them, OSError if it cannot be read."""
    logs = LogsFolder(directory, "", state_dir)
    known = topics(logs)
    check_owner(logs)
    if topic_name is not None and topic_name not in known:
        raise UsageError(
            f"nothing was uploaded from {directory} to topic {topic_name}; "
            f"LOGS has tables for {', '.join(known) or 'no topic'}"
        )
    return known if topic_name is None else [topic_name]


def explain(directory: str, state_dir: str | None, error: OSError) -> str:
    """Return why LOGS cannot be read, and what to do."""
    path = error.filename or directory
    if not os.path.lexists(directory):
        return f"{directory} does not exist; give the directory that is uploaded, or mount it"
    if not os.path.isdir(directory):
        return f"{directory} is not a directory; give the directory that is uploaded"
    if not isinstance(error, FileNotFoundError):
        return f"cannot read {path}: {error.strerror}"
    hint = "" if state_dir else ", or with --state_dir, which is to be given here, too"
    return f"{state_dir or directory} has no LOGS: dfud has not uploaded anything from it{hint}"
