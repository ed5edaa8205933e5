"""What the status file says of a run: gathered from what the supervisor learns, and from its ledger."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from datetime import datetime, timezone
from typing import NamedTuple

import msgspec

from dfud.core.text import printable
from dfud.logs.times import IsoClock
from dfud.logs.upload_status import (
    MAX_CAUSES,
    MAX_FINDINGS,
    MAX_RECEIVERS,
    MAX_STALLS,
    Acknowledged,
    Backlog,
    BrokerState,
    BrokerStatus,
    CanaryStatus,
    Cause,
    Completed,
    Failures,
    OldestFile,
    Rates,
    ReceiverStatus,
    Recording,
    Restarts,
    Stall,
    TopicFinding,
    UploadStatus,
    WatchStatus,
)
from dfud.messages import TopicFindings, WatchReport
from dfud.uploading.client_statistics import ClientTotals
from dfud.uploading.entry import ENDED, Entry, State
from dfud.uploading.ledger import Ledger
from dfud.uploading.reporter import UploadReporter

_RATE_INTERVAL_S = 60.0  # for which rates are a mean
_MAX_TEXT = 1_000  # characters of a cause


class _Sample(NamedTuple):
    """The counts at one time."""

    time: float  # s, monotonic
    versions: int
    bytes: int
    chunks: int


class RunStatus:
    """Responsible for what can be said of a run at any time, at no cost for each file or chunk."""

    def __init__(self, ledger: Ledger, reporter: UploadReporter, iso_now: Callable[[], str] | None = None) -> None:
        """Describe what `ledger` and `reporter` know."""
        self._ledger = ledger
        self._reporter = reporter
        self._iso_now = iso_now or IsoClock()
        self._broker = BrokerStatus()
        self._outage = self._silence = self._slowness = ""
        self._acked_chunks = 0  # at the last turn
        self._watch = WatchStatus()
        self._restarts = Restarts()
        self._samples: deque[_Sample] = deque()
        self._now = 0.0  # s, monotonic; of the last turn
        self.stalls: tuple[Stall, ...] = ()  # workers that do nothing
        self.canary: CanaryStatus | None = None
        self._topic_findings: tuple[TopicFinding, ...] = ()
        self.kafka = ClientTotals()
        self.topic_harm = ""  # what was lost on the topic
        self.receivers: tuple[ReceiverStatus, ...] = ()  # how far each is behind, if that is watched
        self.retention_risk = ""  # what may be deleted before it is received

    # -- what the supervisor learns

    def on_watching(self) -> None:
        """Note that the watcher has begun."""
        self._watch = msgspec.structs.replace(self._watch, is_watching=True, unread_folders=0, polling="none")

    def on_watch_report(self, report: WatchReport) -> None:
        """Take how files are found."""
        self._watch = WatchStatus(
            self._watch.is_watching,
            report.polling,
            self._watch.rescans + report.rescans,
            self._watch.overflows + report.overflows,
            report.unread_folders,
        )

    def on_outage(self, reason: str) -> None:
        """Take why nothing is acknowledged; empty if something is again."""
        self._outage = reason
        self._silence = ""

    def on_silent(self, reason: str) -> None:
        """Take why a question was not answered; empty if one was."""
        self._silence = reason

    def on_topic_findings(self, message: TopicFindings) -> None:
        """Take what is wrong with the topic now."""
        found = message.findings[:MAX_FINDINGS]
        self._topic_findings = tuple(TopicFinding(critical, text[:_MAX_TEXT]) for critical, text in found)

    def on_new_producer(self) -> None:
        """Forget what the producers have said of the broker: the new one finds out for itself."""
        self._outage = self._silence = ""

    def on_restart(self, cause: str) -> None:
        """Count a worker that has died, and is replaced."""
        self._restarts = Restarts(self._restarts.number + 1, cause[:_MAX_TEXT], self._iso_now())

    def on_turn(self, now: float, slowness: str) -> None:
        """Take the time (s, monotonic), and why the broker is slow, once for all that happened since the last."""
        self._now = now
        self._slowness = slowness if self._ledger.open_files else ""  # nobody can tell while nothing is sent
        if self._reporter.acked_chunks != self._acked_chunks:
            self._acked_chunks = self._reporter.acked_chunks
            self._silence = ""
            self._broker = msgspec.structs.replace(self._broker, last_ack=self._iso_now())
        state: BrokerState = "reachable"
        if self._outage or self._silence:
            state = "unreachable"
        elif self._slowness:
            state = "slow"
        cause = (self._outage or self._silence or self._slowness)[:_MAX_TEXT]
        if state != self._broker.state or cause != self._broker.cause:
            since = self._broker.since if state == self._broker.state else self._iso_now()
            self._broker = msgspec.structs.replace(self._broker, state=state, cause=cause, since=since)

    # -- what is said

    @property
    def broker(self) -> BrokerStatus:
        """What is known of the broker, at the last turn."""
        return self._broker

    def describe(self, header: UploadStatus, recording: Recording, left: int, is_full: bool) -> UploadStatus:
        """Return `header` with all that is known; this visits every file in progress.

        `left` is the number of files that were left for the next run, and `is_full` whether others must wait until
        there is room for them.
        """
        reporter = self._reporter
        entries = list(self._ledger.in_progress())
        return msgspec.structs.replace(
            header,
            broker=self._broker,
            completed=Completed(reporter.completed_files, reporter.completed_versions, reporter.completed_bytes),
            acknowledged=Acknowledged(reporter.acked_bytes, reporter.acked_chunks),
            rates=self._rates(),
            backlog=_backlog(entries, is_full),
            oldest=_oldest(entries),
            failures=self._failures(entries, left),
            watch=self._watch,
            restarts=self._restarts,
            stalls=self.stalls[:MAX_STALLS],
            canary=self.canary,
            kafka=self.kafka.status,
            recording=recording,
            topic_harm=self.topic_harm[:_MAX_TEXT],
            topic_findings=self._topic_findings,
            receivers=self.receivers[:MAX_RECEIVERS],
            retention_risk=self.retention_risk[:_MAX_TEXT],
        )

    def _rates(self) -> Rates:
        reporter = self._reporter
        now = _Sample(self._now, reporter.completed_versions, reporter.acked_bytes, reporter.acked_chunks)
        samples = self._samples
        samples.append(now)
        while len(samples) > 2 and samples[1].time <= now.time - _RATE_INTERVAL_S:
            samples.popleft()
        before = samples[0]
        seconds = now.time - before.time
        if seconds <= 0:
            return Rates()
        versions, n_bytes, chunks = (round((new - old) / seconds, 3) for new, old in zip(now[1:], before[1:]))
        return Rates(versions, n_bytes, chunks, round(seconds, 3))

    def _failures(self, entries: list[Entry], left: int) -> Failures:
        states: Counter[str] = Counter()
        causes: Counter[tuple[str, bool]] = Counter()
        examples: dict[tuple[str, bool], Entry] = {}
        for entry in entries:
            if self._ledger.is_superseded(entry):
                continue
            is_final = entry.state in (State.FAILED, State.GIVEN_UP)
            if entry.state is State.HELD:
                states["held"] += 1
            elif is_final or entry.named:
                states["failed" if is_final else "retrying"] += 1
                cause = (entry.failure or entry.named)[:_MAX_TEXT], is_final
                causes[cause] += 1
                examples.setdefault(cause, entry)
        listed = tuple(
            Cause(text, is_final, files, printable(examples[text, is_final].version.path))
            for (text, is_final), files in causes.most_common(MAX_CAUSES)
        )
        return Failures(states["failed"], states["retrying"], states["held"], left, listed)


def _backlog(entries: list[Entry], is_full: bool) -> Backlog:
    waiting = [entry for entry in entries if entry.state not in ENDED]
    return Backlog(
        len({entry.version.path for entry in waiting}),
        len(waiting),
        sum(entry.version.size - entry.acked_bytes for entry in waiting),
        sum(entry.n_chunks - len(entry.acked) for entry in waiting),
        is_full,
    )


def _oldest(entries: list[Entry]) -> OldestFile | None:
    first: dict[str, Entry] = {}  # by UTC offset: times of the same offset sort like their texts
    for entry in entries:
        if entry.state not in ENDED:
            offset = entry.started[-6:]
            if offset not in first or entry.started < first[offset].started:
                first[offset] = entry
    ages = {entry.started: (_age_s(entry.started), entry) for entry in first.values()}
    if not ages:
        return None
    age_s, oldest = max(ages.values(), key=lambda pair: pair[0])
    return OldestFile(printable(oldest.version.path), oldest.started, age_s)


def _age_s(time: str) -> float:
    """Return for how long an ISO 8601 time has passed (s); 0 if it is to come, or is none."""
    try:
        then = datetime.fromisoformat(time)
    except ValueError:  # a table that was edited by hand
        return 0.0
    if then.tzinfo is None:
        return 0.0
    return max(0.0, round((datetime.now(timezone.utc) - then).total_seconds(), 3))
