"""What the user asked for."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from dfud.announcing.options import AnnouncementOptions
from dfud.core.user_headers import UserHeaders, parse_headers
from dfud.logs.layout import LogsFolder
from dfud.logs.logfile import LogOptions
from dfud.messages import ReleaseEnded
from dfud.receipts.required import Required

# Releases once; takes a function for lines with their levels, and one that says whether to stop.
RunRelease = Callable[[Callable[[int, str], None], Callable[[], bool]], ReleaseEnded]


class ReleasePlan(NamedTuple):
    """How files are released that all receivers have."""

    every_s: float
    done: str  # with the files, in the log: "deleted"
    run: RunRelease  # in a process of its own


class GuardPlan(NamedTuple):
    """How it is watched what retention takes before it is received."""

    folder: LogsFolder  # with the tables of the upload
    receipts: str  # the topic with the receipts
    required: Required  # whose receipts count
    within_s: float  # what may be taken within that time is reported
    interval_s: float  # between two looks, at least
    resends: bool  # what is at risk is sent again
    properties: Mapping[str, Any]  # of the consumer
    config_path: str  # to name it in messages


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
    log: LogOptions
    state_dir: str | None = None  # where LOGS is, if not in `directory`
    time_limit: float | None = None  # s, after which no more files are begun
    canary: float | None = None  # s between canaries
    canary_topic_name: str | None = None  # None for one that is named after `topic`
    announcements: tuple[AnnouncementOptions, ...] = ()  # heartbeats and lines of the log, to other topics
    metrics_file: str | None = None  # for the textfile collector of node_exporter
    metrics_port: tuple[str, int] | None = None  # IP address and port at which metrics are served
    header: tuple[str, ...] = ()  # NAME=VALUE, in each message
    run_marker: tuple[str, ...] = ()  # patterns of files that say that their folder is finished
    run_metadata: str | None = None  # name of a file in the folder of a run that says what the run is
    receipts: str | None = None  # topic with the receipts of those who download
    receivers: Required = Required()  # whose receipts count; an empty one if the user named none
    release: ReleasePlan | None = None  # of what the receivers have
    guard: GuardPlan | None = None  # against retention
    run_sha256: bool = False  # manifests state the SHA-256 of each file, too

    @property
    def headers(self) -> UserHeaders:
        """The headers that each message has besides those of dfud."""
        return parse_headers(self.header)

    @property
    def canary_topic(self) -> str:
        """The topic of the canaries; "" if there are none."""
        return "" if self.canary is None else self.canary_topic_name or f"{self.topic}_canary"


def log_fields(topic: str) -> dict[str, Any]:
    """Return what each record of a log in JSON has: the uploads of one directory share a log."""
    return {"topic": topic, "pid": os.getpid()}
