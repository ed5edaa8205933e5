"""What the user asked for."""

from __future__ import annotations

from typing import NamedTuple


class UploadOptions(NamedTuple):
    """The options of an upload, each valid on its own; what depends on the system is checked by `preflight`."""

    directory: str
    topic: str
    upload_existing: bool
    n_threads: int
    upload_regex: str | None  # None: all but hidden files, what is in hidden folders, and *.log
    chunk_size: int  # bytes
    queue_max_size: float  # megabytes
    update_seconds: float  # between "."; negative for none
    once: bool
    use_polling_observer: bool
    watchdog_lag_time: float  # s that a file must have been quiet before it is taken
    follow_links: bool  # also to files outside of the directory
    logger_stream_level: int
    logger_file_level: int
    logger_file_path: str | None
    state_dir: str | None = None  # where LOGS is, if not in `directory`
    time_limit: float | None = None  # s, after which no more files are begun
