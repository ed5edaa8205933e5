"""Putting the announcements of a run together."""

from __future__ import annotations

import logging
import socket
from collections.abc import Callable, Iterable, Sequence
from functools import partial

from dfud.announcing import announcer
from dfud.announcing.announcer import AnnouncerSettings
from dfud.announcing.heartbeat_format import with_free_bytes
from dfud.announcing.heartbeats import Heartbeats
from dfud.announcing.log_lines import LogLines
from dfud.announcing.options import AnnouncementOptions
from dfud.announcing.outlet import AnnouncementOutlet, AnnouncerProcess, Series, Source
from dfud.core.text import escaped
from dfud.logs.layout import LogsFolder
from dfud.messages import AnnouncementKind
from dfud.processes import links
from dfud.processes.workers import WorkerPool


class Announcements:
    """What is to be announced of a run; the lines of its log are collected from now on."""

    def __init__(self, options: Sequence[AnnouncementOptions], folder: LogsFolder, log: logging.Logger) -> None:
        """Announce the upload of `folder`, and what `log` says of it."""
        self._options = options
        self._directory = folder.directory
        self._default_id = escaped(f"{socket.gethostname()}:{folder.directory}:{folder.topic}")
        self._log = log
        self._series = [
            Series(each.kind, each.topic, each.interval_s, self._source(each), log) for each in options
        ]

    def outlets(self, pool: WorkerPool) -> Iterable[AnnouncementOutlet]:
        """Return the outlet for them, if there are any; it starts its worker from `pool` when it needs it."""
        if self._series:
            settings = {
                each.kind: AnnouncerSettings(
                    each.topic, each.key(self._default_id), each.config.properties, self._completion(each.kind)
                )
                for each in self._options
            }

            def start() -> AnnouncerProcess:
                return pool.start("announcer", links.ANNOUNCER, announcer.run, (settings,), outlives=True)

            yield AnnouncementOutlet(self._series, start, pool.discard, self._log)

    def _completion(self, kind: AnnouncementKind) -> Callable[[bytes], bytes]:
        return partial(with_free_bytes, self._directory) if kind == "heartbeat" else bytes

    def _source(self, options: AnnouncementOptions) -> Source:
        if options.kind == "heartbeat":
            return Heartbeats(options.interval_s)
        lines = LogLines(options.config.max_lines)
        level = options.config.level
        if level is None:
            level = self._log.level
        lines.setLevel(level)
        self._log.setLevel(min(level, self._log.level))
        self._log.addHandler(lines)
        return lines
