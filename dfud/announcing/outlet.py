"""Tells topics of their own how a run is doing: when something is announced, and what becomes of it."""

from __future__ import annotations

import logging
import select
import time
from collections.abc import Callable, Sequence
from typing import Protocol

from dfud.announcing.announcer import FLUSH_S
from dfud.announcing.log_lines import UNANNOUNCED
from dfud.errors import WorkerError
from dfud.logs.upload_status import UploadStatus
from dfud.messages import (
    Announced,
    Announcement,
    AnnouncementDelayed,
    AnnouncementKind,
    FromAnnouncer,
    Notice,
    Stop,
    ToAnnouncer,
)
from dfud.processes.channel import PeerGoneError
from dfud.processes.dispatch import Dispatcher
from dfud.processes.workers import Worker

_FIRST_LOOK_S, _MAX_LOOK_S = 0.25, 30.0  # after which it is looked what has become of an announcement; doubled
_MAX_TROUBLES = 5  # reasons that are logged, until something is sent again
_RETRY_S = 5.0  # after the announcer has died
_END_S = FLUSH_S + 0.5  # in which the last announcements must be on their topics

Describe = Callable[[], UploadStatus]
AnnouncerProcess = Worker[ToAnnouncer, FromAnnouncer]
StartAnnouncer = Callable[[], AnnouncerProcess]


class Source(Protocol):
    """Makes the announcements of one kind."""

    noun: str  # for several of them

    @property
    def has_more(self) -> bool:
        """Whether the last announcement had no room for all there was to say."""

    def take(self, number: int, describe: Describe) -> bytes:
        """Return the value of the message with this number."""

    def on_sent(self, number: int) -> None:
        """Note that this one is on the topic."""

    def on_failed(self, number: int, is_too_large: bool) -> None:
        """Take back what this one said."""


class Series:
    """All announcements of one kind: one is under way at a time."""

    def __init__(
        self, kind: AnnouncementKind, topic: str, interval_s: float, source: Source, log: logging.Logger
    ) -> None:
        """Announce what `source` says every `interval_s`, the first time at once."""
        self.kind = kind
        self.source = source
        self.under_way: set[int] = set()  # numbers of announcements
        self.is_ending = False  # what is sent now is the last
        self._where = f"topic {topic}"
        self._interval_s = interval_s
        self._next_at: float | None = None  # s, monotonic
        self._troubles: set[str] = set()  # that were logged since something was sent
        self._log = log

    def due_at(self, now: float) -> float | None:
        """Return when the next one is to be sent; None while one is under way."""
        return None if self.under_way else (now if self._next_at is None else self._next_at)

    def take(self, number: int, describe: Describe, now: float) -> Announcement:
        """Return the next announcement."""
        self._next_at = now + self._interval_s
        self.under_way.add(number)
        return Announcement(self.kind, number, self.source.take(number, describe))

    def on_result(self, result: Announced, now: float) -> None:
        """Take what has become of an announcement."""
        self.under_way.discard(result.number)
        if result.reason:
            self.source.on_failed(result.number, result.is_too_large)
            if not result.is_too_large:
                self.on_trouble(result.reason)
                return
        else:
            self.source.on_sent(result.number)
            if self._troubles:
                self._troubles.clear()
                self._say(f"{self.source.noun} reach {self._where} again")
        if self.source.has_more:
            self._next_at = now

    def on_trouble(self, reason: str) -> None:
        """Log, once, why nothing can be sent."""
        if reason not in self._troubles and len(self._troubles) < _MAX_TROUBLES:
            self._troubles.add(reason)
            retrying = "" if self.is_ending else "; retrying; uploading continues"
            self._say(f"cannot send {self.source.noun} to {self._where}: {reason}{retrying}")

    def on_lost(self, now: float) -> None:
        """Take back what is under way."""
        for number in self.under_way:
            self.source.on_failed(number, False)
        self.under_way.clear()
        self._next_at = max(self._next_at or now, now + _RETRY_S)

    def on_end(self) -> None:
        """Log, unless the reason is known, that the last ones are not on the topic."""
        if self.under_way and not self._troubles:
            self._say(
                f"the last {self.source.noun} may not be on {self._where}: the broker has not answered in time"
            )

    def _say(self, text: str) -> None:
        self._log.warning(text, extra=UNANNOUNCED if self.kind == "log" else None)


class AnnouncementOutlet:
    """Responsible for the announcements of a run; nothing in here waits, but for a moment at the end."""

    def __init__(
        self,
        series: Sequence[Series],
        start: StartAnnouncer,
        discard: Callable[[AnnouncerProcess], None],
        log: logging.Logger,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send `series` through the process that `start` starts, and that `discard` forgets once it has ended."""
        self._series = {each.kind: each for each in series}
        self._start = start
        self._discard = discard
        self._log = log
        self._clock = clock
        self._announcer: AnnouncerProcess | None = None
        self._last_number = 0
        self._look_s = _FIRST_LOOK_S
        self._is_ending = False
        self._has_died = False  # it is logged once until something is sent
        self.due: float | None = clock()
        self._dispatch: Dispatcher[FromAnnouncer] = Dispatcher(
            FromAnnouncer,
            {Notice: self._on_notice, Announced: self._on_announced, AnnouncementDelayed: self._on_delayed},
        )

    def turn(self, now: float, describe: Describe) -> None:
        """Announce what is due, and look what has become of what was announced."""
        if self.due is None or now < self.due:
            return
        self._receive()
        for series in self._series.values():
            due_at = series.due_at(now)
            if due_at is not None and now >= due_at:
                self._announce(series, describe, now)
        times = [due_at for series in self._series.values() if (due_at := series.due_at(now)) is not None]
        if len(times) < len(self._series):  # something is under way
            times.append(now + self._look_s)
            self._look_s = min(2 * self._look_s, _MAX_LOOK_S)
        self.due = min(times)

    def end(self, status: UploadStatus) -> None:
        """Announce the end, and wait for a moment until that has arrived."""
        self._receive()
        self._is_ending = True
        for series in self._series.values():
            series.is_ending = True
            self._announce(series, lambda: status, self._clock())
            while series.source.has_more and self._announcer is not None:
                self._announce(series, lambda: status, self._clock())
        if self._announcer is not None:
            self._announcer.channel.post([Stop()])
        deadline = self._clock() + _END_S
        while self._announcer is not None and self._clock() < deadline and self._is_busy:
            self._wait(self._announcer, deadline - self._clock())
            self._receive()
        for series in self._series.values():
            series.on_end()
        self._forget_announcer()

    @property
    def _is_busy(self) -> bool:
        return any(series.under_way for series in self._series.values())

    def _wait(self, worker: AnnouncerProcess, seconds: float) -> None:
        """Wait until the announcer has reported something, or takes more of what it has to send."""
        worker.channel.flush()
        poller = select.poll()
        poller.register(worker.channel, select.POLLIN | (select.POLLOUT if worker.channel.backlog else 0))
        poller.poll(seconds * 1000)

    def _announce(self, series: Series, describe: Describe, now: float) -> None:
        self._last_number += 1
        announcement = series.take(self._last_number, describe, now)
        self._look_s = _FIRST_LOOK_S
        if self._announcer is None:
            try:
                self._announcer = self._start()
            except WorkerError as error:
                series.on_trouble(str(error))
                series.on_lost(now)
                return
        self._announcer.channel.post([announcement])

    # -- what the announcer reports

    def _receive(self) -> None:
        """Handle what the announcer has reported, and forget it if it has died."""
        if self._announcer is None:
            return
        self._announcer.channel.flush()
        try:
            while batch := self._announcer.channel.receive(wait=False):
                for message in batch:
                    self._dispatch(message)
        except PeerGoneError:
            if self._is_ending:  # it has sent what it could
                self._forget_announcer()
            else:
                self._on_death(self._announcer)

    def _on_notice(self, notice: Notice) -> None:
        self._log.log(notice.level, notice.text)

    def _on_announced(self, result: Announced) -> None:
        self._has_died = self._has_died and bool(result.reason)
        self._series[result.kind].on_result(result, self._clock())

    def _on_delayed(self, delay: AnnouncementDelayed) -> None:
        self._series[delay.kind].on_trouble(delay.reason)

    def _on_death(self, worker: AnnouncerProcess) -> None:
        worker.process.kill()  # it has closed its channel, so that it has ended, or is about to
        cause = worker.cause_of_death()
        if not self._has_died:
            self._has_died = True
            self._log.warning(f"{worker.name} {cause}: restarting it", extra=UNANNOUNCED)
        self._forget_announcer()
        for series in self._series.values():
            series.on_lost(self._clock())

    def _forget_announcer(self) -> None:
        if self._announcer is not None:
            self._announcer.process.kill()
            self._discard(self._announcer)
            self._announcer = None
