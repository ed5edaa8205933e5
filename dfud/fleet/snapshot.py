"""A fleet at one moment: its uploads, the worst first, its receivers, and what could not be read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import NamedTuple

from dfud.core.elapsed import duration, parse_time
from dfud.core.sizes import shown_size
from dfud.core.text import counted, escaped
from dfud.fleet.programs import Program
from dfud.fleet.receivers import About, Lag, Receiver, Receivers
from dfud.fleet.verdict import State, Upload, judge
from dfud.logs.status_check import Finding, Level, Limits, line, severity
from dfud.logs.upload_status import ReceiverStatus

_UNKNOWN: Mapping[About, Lag] = MappingProxyType({})
_MAX_NAMED = 5  # uploads in the line of --check


class Totals(NamedTuple):
    """What the uploads have together, each as of its last heartbeat."""

    files: int  # that wait
    bytes: int  # of them
    oldest_s: float | None  # how long the oldest of them has waited; None if none waits
    failed: int  # files


class Trouble(NamedTuple):
    """An upload or a receiver that is not as it should be."""

    name: str
    findings: tuple[Finding, ...]  # the worst first


class Snapshot(NamedTuple):
    """A fleet at one moment."""

    at_s: float  # since 1970
    heartbeats: str  # the topic
    receipts: str | None  # the topic, if it was asked for
    since_s: float  # how far back heartbeats were read
    uploads: tuple[Upload, ...]  # the worst first
    receivers: tuple[Receiver, ...]  # those that are most behind first
    notes: tuple[str, ...] = ()  # what could not be read, or was left out

    @property
    def level(self) -> Level:
        """How bad the worst is; a fleet of which nothing is heard is critical."""
        if not self.uploads:
            return Level.CRITICAL
        return self.troubles[0].findings[0].level if self.troubles else Level.OK

    @property
    def troubles(self) -> list[Trouble]:
        """Who is not as it should be, the worst first."""
        found = [Trouble(upload.name, upload.findings) for upload in self.uploads if upload.findings]
        found += [Trouble(each.name, (each.finding,)) for each in self.receivers if each.finding is not None]
        return sorted(found, key=lambda each: -severity(each.findings[0].level))

    @property
    def states(self) -> Counter[State]:
        """How many uploads are in each state."""
        return Counter(upload.state for upload in self.uploads)

    @property
    def totals(self) -> Totals:
        """What is waiting, of the uploads that may still send it."""
        known = [upload.details for upload in self.uploads if upload.details is not None]
        ages = [each.oldest.age_s for each in known if each.oldest is not None and each.state != "ended"]
        return Totals(
            sum(each.backlog.files for each in known),
            sum(each.backlog.bytes for each in known),
            max(ages, default=None),
            sum(each.failures.failed for each in known),
        )

    def summary(self) -> str:
        """Return one line about all of them."""
        if not self.uploads:
            return f"no heartbeat on topic {self.heartbeats} within {duration(self.since_s)}"
        states = self.states
        of_states = ", ".join(f"{states[state]:,} {state.value}" for state in State if states[state])
        totals = self.totals
        parts = [f"{counted(len(self.uploads), 'upload')}: {of_states}"]
        bad = Counter(upload.level for upload in self.uploads)
        levels = (Level.CRITICAL, Level.WARNING)
        of_levels = ", ".join(f"{bad[level]:,} {level.name.lower()}" for level in levels if bad[level])
        parts += [of_levels] if of_levels else []
        waiting = "nothing waits"
        if totals.files:
            waiting = f"{counted(totals.files, 'file')} ({shown_size(totals.bytes)}) waiting"
        if totals.oldest_s is not None:
            waiting += f", the oldest for {duration(totals.oldest_s)}"
        parts.append(waiting)
        if totals.failed:
            parts.append(f"{counted(totals.failed, 'file')} failed")
        if self.receipts is not None:
            parts.append(counted(len({each.name for each in self.receivers}), "receiver"))
        return "; ".join(parts)

    def check_line(self) -> tuple[Level, str]:
        """Return the exit status and the line of a monitoring plugin."""
        bad = self.troubles
        findings = [
            Finding(each.findings[0].level, f"{each.name}: {each.findings[0].text}") for each in bad[:_MAX_NAMED]
        ]
        if len(bad) > _MAX_NAMED:
            findings.append(
                Finding(
                    bad[_MAX_NAMED].findings[0].level, f"{len(bad) - _MAX_NAMED:,} more are not as they should be"
                )
            )
        if not self.uploads or not findings:
            findings.insert(0, Finding(self.level, self.summary()))
        states, totals = self.states, self.totals
        data = {f"{state.value}": f"{states[state]};;;0" for state in State}
        data |= {
            "backlog_files": f"{totals.files};;;0",
            "backlog_bytes": f"{totals.bytes}B;;;0",
            "oldest": f"{totals.oldest_s or 0:.0f}s;;;0",
            "failed": f"{totals.failed};;;0",
        }
        return line(findings, " ".join(f"{name}={value}" for name, value in data.items()))


def take_snapshot(
    at_s: float,
    topics: tuple[str, str | None],
    since_s: float,
    programs: Iterable[Program],
    receivers: Receivers | None,
    limits: Limits,
    notes: Sequence[str] = (),
    lags: Mapping[About, Lag] = _UNKNOWN,
) -> Snapshot:
    """Return the fleet at `at_s`; `topics` are those of heartbeats and of receipts."""
    uploads = sorted((judge(program, limits, at_s) for program in programs), key=_order)
    known = [] if receivers is None else receivers.all(_complete_at(uploads), lags)
    guarded = _guarded(uploads)
    known = [guarded.get((each.topic, each.name), _Lacking()).added_to(each) for each in known]
    known.sort(key=_receiver_order)
    return Snapshot(at_s, *topics, since_s, tuple(uploads), tuple(known), tuple(notes))


def _order(upload: Upload) -> tuple[int, int, float, str]:
    """Return what sorts trouble first, then what waits, then by name."""
    details = upload.details
    waited_s = details.oldest.age_s if details is not None and details.oldest is not None else 0.0
    return -severity(upload.level), list(State).index(upload.state), -waited_s, upload.name


class _Lacking(NamedTuple):
    """What uploads with --guard say of one receiver and topic."""

    files: int | None = None
    left_s: float | None = None

    def and_of(self, other: ReceiverStatus) -> _Lacking:
        """Return this with what another upload says."""
        times = [time for time in (self.left_s, other.left_s) if time is not None]
        return _Lacking((self.files or 0) + other.files, min(times, default=None))

    def added_to(self, receiver: Receiver) -> Receiver:
        """Return what is known of a receiver, with this."""
        return receiver._replace(lacking=self.files, left_s=self.left_s)


def _guarded(uploads: Iterable[Upload]) -> dict[About, _Lacking]:
    """Return what the uploads that live say of their receivers."""
    found: dict[About, _Lacking] = {}
    for upload in uploads:
        if upload.details is not None and upload.state in (State.ALIVE, State.LATE):
            for each in upload.details.receivers:
                about = upload.details.topic, escaped(each.receiver)
                found[about] = found.get(about, _Lacking()).and_of(each)
    return found


def _receiver_order(receiver: Receiver) -> tuple[int, int, int, float, str, str]:
    """Return what sorts those first that have lost something, then those that are most behind."""
    lag = receiver.lag or Lag(0, 0)
    behind = -(receiver.lacking or 0), -lag.unread, -(receiver.behind_s or 0.0)
    return (-lag.lost, *behind, receiver.topic, receiver.name)


def _complete_at(uploads: Iterable[Upload]) -> dict[str, float]:
    """Return when the last file was complete on each topic (s since 1970), where no file is under way."""
    times: dict[str, float] = {}
    under_way: set[str] = set()
    for details in filter(None, (upload.details for upload in uploads)):
        if details.backlog.files:
            under_way.add(details.topic)
        time = parse_time(details.broker.last_ack or "")
        if time is not None:
            times[details.topic] = max(times.get(details.topic, 0.0), time.timestamp())
    return {topic: at_s for topic, at_s in times.items() if topic not in under_way}
