"""When a file is ready: a table of examples, the bounds on what is sent of a growing file, limits of memory."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from dfud.core.version import FileVersion
from dfud.watch import readiness
from dfud.watch.readiness import LEASED, SETTLING_S, STILL_WRITTEN, Look, Readiness, Writers

LEASE_BREAK_S = 45.0


class File:
    """One file, what the kernel says of it, and what is decided about it, each time that it is looked at."""

    def __init__(self, lag_s: float = 0.0, has_ctime: bool = False, size: int = 10) -> None:
        self.readiness = Readiness(lag_s, LEASE_BREAK_S)
        self.path = b"file"
        self.size = size
        self.inode = 1
        self.changed_at = 0.0
        self.writers = Writers.NONE
        self.exists = True
        self.has_ctime = has_ctime  # which tells for how long the file has not changed
        self.outcomes: list[str] = []
        self.taken: list[tuple[float, int]] = []  # time and size
        self.looks = 0

    def look(self, now: float) -> Look | None:
        self.looks += 1
        if not self.exists:
            return None
        changed_ns = int(self.changed_at * 1e9)
        at_rest_s = now - self.changed_at if self.has_ctime else 0.0
        return Look(FileVersion(self.path, self.size, changed_ns), changed_ns, self.inode, self.writers, at_rest_s)

    def scan(self, now: float) -> None:
        if not self.readiness.is_waiting(self.path):
            self.judge(now, scanned=True)

    def judge(self, now: float, scanned: bool = False) -> None:
        is_ready, _ = self.readiness.judge(self.path, self.look(now), now, scanned=scanned)
        if is_ready:
            self.taken.append((now, self.size))
            self.outcomes.append(f"{now:g} taken")

    def say_left(self, now: float) -> None:
        self.outcomes += [f"{now:g} left: {reason}" for _, reason in self.readiness.pop_left()]

    def advance(self, until: float) -> None:
        """Look whenever it is due, as the watcher does."""
        while (due := self.readiness.next_due()) is not None and due <= until:
            assert self.readiness.pop_due(due) == self.path
            self.judge(due)
            self.say_left(due)

    def change(self, now: float, size: int) -> None:
        self.size = size
        self.changed_at = now

    def event(self, now: float) -> None:
        if self.readiness.on_event(self.path, now):
            self.judge(now)

    def do(self, now: float, verb: str) -> None:
        actions: dict[str, Callable[[], object]] = {
            "created": lambda: self.readiness.on_created(self.path, now),
            "event": lambda: self.event(now),  # closed after writing, moved in or linked in
            "scanned": lambda: self.scan(now),
            "moved-away": lambda: self.readiness.on_gone(self.path),
            "removed": lambda: setattr(self, "exists", False),  # which no event reports
            "changes": lambda: self.change(now, self.size + 1),
            "doubles": lambda: self.change(now, 2 * self.size),
            "replaced": lambda: setattr(self, "inode", self.inode + 1),  # by one of the same size and times
            "quit": lambda: self.readiness.start_end(now, takes_closed=True),
            "quit-after-event": lambda: self.readiness.start_end(now, takes_closed=True, expected=[self.path]),
            "once": lambda: self.readiness.start_end(now, takes_closed=False),
        }
        if verb in actions:
            actions[verb]()
        else:
            self.writers = Writers[verb]

    def run(self, steps: str, until: float) -> list[str]:
        """Carry out ``TIME VERB VERB …; TIME …``, and return what was decided."""
        for step in steps.split(";"):
            at, *verbs = step.split()
            self.advance(float(at))
            for verb in verbs:
                self.do(float(at), verb)
                self.say_left(float(at))
            self.advance(float(at))
        self.advance(until)
        return self.outcomes


def left(now: float, reason: str = STILL_WRITTEN) -> str:
    return f"{now:g} left: {reason}"


# What happens (NONE, SOME, UNKNOWN, LEASED: what the kernel says from then on of who writes), and what follows.
EXAMPLES = [
    # nobody has it open
    pytest.param("0 event", ["0 taken"], id="closed: at once"),
    pytest.param("0 scanned", ["0 taken"], id="found by a scan: at once"),
    pytest.param("0 once; 0 scanned", ["0 taken"], id="found by --once: at once"),
    pytest.param("0 created; 0.2 event", ["0.2 taken"], id="created and closed: at the close"),
    pytest.param("0 created", ["1 taken"], id="created, and never closed for writing: after a second"),
    pytest.param("0 created; 0.5 removed", [], id="created and removed: never"),
    pytest.param("0 created; 0.5 moved-away", [], id="created and moved away: never under this name"),
    # a process has it open
    pytest.param(
        "0 SOME event; 0.5 NONE event", ["0.5 taken"], id="moved in while it is written: at the close"
    ),
    pytest.param(
        "0 SOME event; 4 NONE", ["7 taken"], id="closed under another name: seen at the next look (1, 3, 7 s)"
    ),
    pytest.param("0 SOME created; 20 NONE event", ["20 taken"], id="written for long: at the close"),
    pytest.param(
        "0 SOME event; 5 event; 6 changes NONE event", ["6 taken"], id="two writers: when the second has closed"
    ),
    pytest.param("0 SOME scanned; 100 NONE", ["103 taken"], id="closed elsewhere: at most 8 s later"),
    pytest.param("0 SOME event; 1.5 moved-away; 2 NONE", [], id="moved away while it is written: never"),
    pytest.param("0 SOME event; 1.5 removed NONE", [], id="removed while it is written: never"),
    pytest.param("0 SOME event; 0.5 UNKNOWN", ["3 taken"], id="chowned meanwhile: two equal looks"),
    # the kernel does not say
    pytest.param("0 UNKNOWN event", ["2 taken"], id="unknown: two equal looks"),
    pytest.param("0 UNKNOWN scanned", ["2 taken"], id="unknown, found by a scan: two equal looks"),
    pytest.param("0 UNKNOWN created", ["3 taken"], id="unknown, not closed: two equal looks after a second"),
    pytest.param("0 UNKNOWN event; 1 changes", ["4 taken"], id="unknown, changes: equal looks from then on"),
    pytest.param("0 UNKNOWN event; 1 replaced", ["4 taken"], id="unknown, replaced: the inode is another one"),
    pytest.param("0 UNKNOWN event; 1 event", ["3 taken"], id="unknown, closed again: settles anew"),
    pytest.param("0 UNKNOWN event; 1 removed", [], id="unknown, removed: never"),
    pytest.param("0 UNKNOWN event; 1 NONE event", ["1 taken"], id="unknown, then known: at once"),
    # another program has a lease
    pytest.param("0 LEASED event; 4.5 NONE", ["5 taken"], id="leased: when it is given up, seen each second"),
    pytest.param(
        "0 once LEASED scanned; 4.5 NONE", ["5 taken"], id="leased, under --once: when it is given up, too"
    ),
    pytest.param(
        "0 once LEASED scanned", [left(LEASE_BREAK_S, LEASED)], id="leased for longer than is allowed: left"
    ),
    # closed again and again
    pytest.param("0 event; 5 event", ["0 taken", "6 taken"], id="closed again: after a quiet second"),
    pytest.param(
        "0 event; 5 event; 10 event; 15 event; 25 event",
        ["0 taken", "6 taken", "12 taken", "19 taken", "33 taken"],
        id="each time twice as long: 1, 2, 4, 8 s",
    ),
    pytest.param(
        "0 event; 1 event; 1.5 event; 2 event", ["0 taken", "4 taken"], id="quiet from the last close on"
    ),
    pytest.param("0 event; 5 changes SOME event; 9 NONE event", ["0 taken", "10 taken"], id="open meanwhile"),
    pytest.param(
        "0 event; 5 event; 7 doubles event", ["0 taken", "6 taken", "7 taken"], id="doubled in size: sooner"
    ),
    pytest.param("0 event; 5 event; 7 changes event", ["0 taken", "6 taken", "9 taken"], id="not doubled: quiet"),
    pytest.param("0 event; 200 event", ["0 taken", "200 taken"], id="closed again after a long time: at once"),
    pytest.param(
        "0 event; 5 event; 10 event; 140 event; 145 event",
        ["0 taken", "6 taken", "12 taken", "140 taken", "146 taken"],
        id="quiet for long: counts as a new file",
    ),
    pytest.param(
        "0 UNKNOWN event; 10 event; 20 event; 21 doubles event",
        ["2 taken", "12 taken", "23 taken"],
        id="unknown, doubled in size: settles still",
    ),
    # quit
    pytest.param("0 SOME event; 0.5 quit", [left(0.5)], id="open at quit: left"),
    pytest.param("0 SOME created; 0.5 quit", [left(0.5)], id="created and open at quit: left"),
    pytest.param("0 created; 0.5 quit", ["0.5 taken"], id="created and closed at quit: at once"),
    pytest.param("0 SOME event; 3.5 NONE quit", ["3.5 taken"], id="closed unnoticed before quit: at once"),
    pytest.param("0 event; 5 event; 5.5 quit", ["0 taken", "5.5 taken"], id="closed again before quit: at once"),
    pytest.param("0 event; 5 quit; 5 event", ["0 taken", "5 taken"], id="closed again, seen at quit: at once"),
    pytest.param("0 UNKNOWN event; 1.5 quit", ["2 taken"], id="unknown at quit: settles still"),
    pytest.param("0 UNKNOWN event; 1 quit; 1.5 changes", [left(2), "4 taken"], id="unknown, changes: left"),
    pytest.param("0 UNKNOWN quit-after-event event", ["2 taken"], id="unknown, seen at quit: settles still"),
    pytest.param(
        "0 UNKNOWN event; 5 event; 10 event; 15 event; 30 event; 33 quit",
        ["2 taken", "7 taken", "12 taken", "19 taken", "33 taken"],
        id="unknown, closed again before quit: settled already",
    ),
    pytest.param("0 LEASED event; 1 quit; 8.5 NONE", ["9 taken"], id="leased at quit: waits"),
    pytest.param("0 LEASED event; 1 quit", [left(45, LEASED)], id="leased at quit, for too long: left"),
    pytest.param(
        "0 LEASED event; 30 SOME; 60 LEASED; 70 quit", [left(107, LEASED)], id="leased anew: waits as long again"
    ),
    pytest.param("0 SOME event; 0.5 quit; 1 quit; 2 quit", [left(0.5)], id="left: said once"),
    # --once
    pytest.param("0 once SOME scanned", [left(0)], id="open under --once: left"),
    pytest.param("0 once UNKNOWN scanned", ["2 taken"], id="unknown under --once: two equal looks"),
    pytest.param(
        "0 once UNKNOWN scanned; 1 changes", [left(2), "4 taken"], id="unknown under --once, changes: left"
    ),
]  # fmt: skip


@pytest.mark.parametrize(("steps", "outcomes"), EXAMPLES)
def test_examples(steps: str, outcomes: list[str]) -> None:
    file = File()
    assert file.run(steps, until=1000) == outcomes
    has_ended = file.writers in (Writers.NONE, Writers.UNKNOWN) or not file.exists or "moved-away" in steps
    assert len(file.readiness) == (0 if has_ended else 1)


WITH_LAG = [
    pytest.param("0 event", ["5 taken"], id="closed: quiet for the lag"),
    pytest.param("0 scanned", ["5 taken"], id="found by a scan: quiet for the lag"),
    pytest.param("0 event; 3 changes", ["10 taken"], id="changes: quiet from then on"),
    pytest.param("0 UNKNOWN event", ["5 taken"], id="unknown: equal looks that far apart"),
    pytest.param("0 SOME event; 3 NONE event", ["8 taken"], id="closed later: quiet for the lag"),
    pytest.param("0 event; 1 quit", ["1 taken"], id="quit: at once"),
    pytest.param(
        "0 event; 10 event; 20 event; 22 doubles event",
        ["5 taken", "15 taken", "27 taken"],
        id="closed again, doubled in size: quiet for the lag",
    ),
    pytest.param("0 once scanned", ["5 taken"], id="--once: quiet for the lag"),
    pytest.param("0 UNKNOWN event; 1 quit", ["5 taken"], id="unknown at quit: the lag holds still"),
]


@pytest.mark.parametrize(("steps", "outcomes"), WITH_LAG)
def test_a_lag(steps: str, outcomes: list[str]) -> None:
    assert File(lag_s=5.0).run(steps, until=1000) == outcomes


WITH_CTIME = [
    pytest.param("100 UNKNOWN scanned", ["100 taken"], id="unknown, has not changed for long: at once"),
    pytest.param("1.5 UNKNOWN scanned", ["3.5 taken"], id="unknown, changed lately: equal looks"),
    pytest.param("1.5 UNKNOWN scanned; 1.75 changes", ["5.5 taken"], id="unknown, changes: equal looks later"),
    pytest.param("0 UNKNOWN event; 1 event", ["2 taken"], id="unknown, closed again without a change: at rest"),
]


@pytest.mark.parametrize(("steps", "outcomes"), WITH_CTIME)
def test_a_time_of_change(steps: str, outcomes: list[str]) -> None:
    assert File(has_ctime=True).run(steps, until=1000) == outcomes


def test_a_file_that_is_left_and_closed_before_that_is_reported_is_sent_and_not_named() -> None:
    ready = Readiness()
    file = File()
    file.writers = Writers.SOME
    assert ready.on_event(b"file", 0)
    ready.start_end(0, takes_closed=True)
    assert ready.judge(b"file", file.look(0), 0) == (False, False)
    file.writers = Writers.NONE
    assert ready.judge(b"file", file.look(1), 1)[0]
    assert ready.pop_left() == []


def test_a_file_that_is_left_and_moved_away_is_not_named_under_its_old_name() -> None:
    ready = Readiness()
    file = File()
    file.writers = Writers.SOME
    ready.start_end(0, takes_closed=True)
    assert ready.judge(b"file", file.look(0), 0) == (False, False)
    ready.on_gone(b"file")
    assert ready.pop_left() == []


@pytest.mark.parametrize("steps", ["0 SOME event", "0 SOME created", "0 UNKNOWN event", "0 event; 0.5 event"])
def test_the_end_waits_for_each_file_until_it_is_decided(steps: str) -> None:
    file = File()
    file.run(steps, until=0.75)
    file.readiness.start_end(0.75, takes_closed=True)
    assert not file.readiness.is_settled
    file.advance(3)
    assert file.readiness.is_settled
    assert file.outcomes


def test_the_end_waits_only_for_what_was_named_before_it() -> None:
    file = File()
    file.readiness.start_end(0, takes_closed=True)
    file.run("1 UNKNOWN event", until=1)
    assert file.readiness.is_settled
    assert len(file.readiness) == 1


@pytest.mark.parametrize("verb", ["moved-away", "removed"])
def test_the_end_does_not_wait_for_a_file_that_is_gone(verb: str) -> None:
    file = File()
    file.run(f"0 UNKNOWN event; 1 quit {verb}", until=3)
    assert file.readiness.is_settled
    assert file.outcomes == []


def judged(ready: Readiness, file: File, now: float, **flags: bool) -> tuple[bool, bool]:
    return ready.judge(file.path, file.look(now), now, **flags)


def test_content_is_compared_once_an_event_has_named_a_file() -> None:
    """Size and mtime may be those of a version that was sent, and the content another one."""
    ready, file = Readiness(), File()
    assert judged(ready, file, 0) == (True, False)
    assert judged(ready, file, 0, compare=True) == (True, True)
    file.writers = Writers.SOME
    assert judged(ready, file, 1) == (False, False)  # found by a scan
    assert ready.on_event(file.path, 200)
    file.writers = Writers.NONE
    assert judged(ready, file, 200) == (True, True)
    ready.on_created(file.path, 300)
    assert ready.pop_due(301) == file.path
    assert judged(ready, file, 301) == (True, True)


# A file that grows, or is rewritten, again and again


def storm(file: File, sizes: list[int], interval_s: float, jitter: random.Random | None = None) -> float:
    """Close the file once for each size, `interval_s` apart; return the time of the last close."""
    now = 0.0
    for size in sizes:
        now += interval_s * (jitter.uniform(0.5, 1.5) if jitter else 1)
        file.advance(now)
        file.change(now, size)
        file.event(now)
    return now


GROWING = {
    "200 kB each": [200_000 * n for n in range(1, 61)],
    "10 bytes each, to 100 MB": [100_000_000 + 10 * n for n in range(60)],
    "from nothing": [1000 * n for n in range(60)],
    "a log of a night": [1000 * n for n in range(1, 10_000)],
    "twice as much each time": [2**n for n in range(30)],
}


@pytest.mark.parametrize("has_ctime", [True, False], ids=["ctime", "no ctime"])
@pytest.mark.parametrize("interval_s", [0.1, 0.9, 1.0, 2.0])
@pytest.mark.parametrize("name", GROWING)
def test_a_growing_file_costs_at_most_four_times_its_size(name: str, interval_s: float, has_ctime: bool) -> None:
    sizes = GROWING[name]
    for jitter in (None, random.Random(1)):
        file = File(has_ctime=has_ctime)
        last = storm(file, sizes, interval_s, jitter)
        file.advance(last + 1000)
        assert sum(size for _, size in file.taken) <= 4 * sizes[-1]
        taken_at, size = file.taken[-1]
        assert size == sizes[-1], "the final content"
        assert taken_at - last <= 57, "s after the last close: enough is left to send it"
        assert file.looks <= 1.05 * last / readiness._MIN_LOOK_INTERVAL_S + 70


@pytest.mark.parametrize("interval_s", [5.0, 10.0, 30.0, 59.0, 100.0])
@pytest.mark.parametrize("name", ["200 kB each", "10 bytes each, to 100 MB"])
def test_a_file_that_is_closed_rarely_is_sent_within_a_minute(name: str, interval_s: float) -> None:
    """One that grows little is sent once for each quiet time that is shorter than the interval."""
    file = File()
    last = storm(file, GROWING[name], interval_s)
    file.advance(last + 1000)
    assert file.taken[-1][1] == GROWING[name][-1]
    assert file.taken[-1][0] - last <= 57
    if interval_s < 55:
        assert len(file.taken) <= 16
        assert sum(size for _, size in file.taken) <= 8 * file.size


def test_a_file_that_is_rewritten_again_and_again_is_sent_ever_less_often() -> None:
    file = File(size=1000)
    last = storm(file, [1000] * 20_000, interval_s=0.4)
    file.advance(last + 1000)
    assert len(file.taken) <= 9, "two at the start, and what is deferred for 10, 20, 40 and 80 minutes"
    assert file.taken[-1][0] - last <= 57
    gaps = [after - before for (before, _), (after, _) in zip(file.taken[2:], file.taken[3:-1])]
    assert gaps == sorted(gaps)


@pytest.mark.parametrize("interval_s", [0.1, 1.0, 20.0])
@pytest.mark.parametrize("after_s", [0.0, 0.5])
def test_at_quit_the_final_content_is_taken_at_once(interval_s: float, after_s: float) -> None:
    file = File()
    sizes = GROWING["200 kB each"]
    quit_at = storm(file, sizes, interval_s) + after_s
    file.advance(quit_at)
    file.do(quit_at, "quit")
    file.advance(quit_at)
    assert file.taken[-1][1] == sizes[-1]
    assert file.readiness.is_settled


def test_a_growing_file_of_another_user_is_taken_once_it_settles() -> None:
    file = File()
    file.writers = Writers.UNKNOWN
    sizes = GROWING["200 kB each"]
    last = storm(file, sizes, 1.0)
    assert file.taken == []
    file.do(last, "quit")
    file.advance(last + SETTLING_S + 1)
    assert [size for _, size in file.taken] == [sizes[-1]]


def test_a_file_that_never_settles_is_left_at_the_end() -> None:
    file = File()
    file.writers = Writers.UNKNOWN
    last = storm(file, [1, 2, 3], 1.0)
    file.do(last, "quit")
    for tick in range(1, 10):
        file.advance(last + tick)
        file.change(last + tick, 10 * tick)
    assert file.outcomes == [left(last + 2)]
    assert file.readiness.is_settled


# Limits


def test_files_beyond_the_limit_are_for_a_scan_to_find(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "MAX_WAITING", 4)
    ready, file = Readiness(), File()
    file.writers = Writers.SOME
    paths = [b"%d" % number for number in range(4)]
    for path in paths[:2]:
        ready.on_created(path, 0)
    for path in paths[2:]:
        assert ready.on_event(path, 0)
        assert ready.judge(path, file.look(0), 0) == (False, False)
    assert (len(ready), ready.is_full, ready.has_overflowed) == (4, True, False)
    ready.on_created(b"further", 0)
    assert ready.has_overflowed
    ready.has_overflowed = False
    assert ready.judge(b"further", file.look(0), 0) == (False, False)
    assert ready.has_overflowed
    assert not ready.is_waiting(b"further")
    due = []
    file.writers = Writers.NONE
    while (found := ready.pop_due(1)) is not None:
        due.append(found)
        assert ready.judge(found, file.look(1), 1)[0]
    assert sorted(due) == paths
    assert not ready.is_full


def test_a_file_that_is_ready_needs_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "MAX_WAITING", 0)
    ready, file = Readiness(), File()
    assert ready.on_event(file.path, 0)
    assert judged(ready, file, 0)[0]
    assert not ready.has_overflowed
    assert not ready.on_event(file.path, 1)  # closed again: it would have to wait
    assert ready.has_overflowed


def test_memory_of_files_that_are_closed_again_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_MAX_REPEATS", 10)
    ready, file = Readiness(), File()
    first = None
    for number in range(100):
        for now in (0, 1):
            if ready.on_event(b"%d" % number, now):
                assert ready.judge(b"%d" % number, file.look(now), now)[0]
        ready.on_event(b"0", 1)
        assert len(ready._repeats) <= 10
        first = first or ready._repeats[b"0"]
        assert ready._repeats[b"0"] is first, "the one that was closed last is remembered"


def test_memory_of_files_that_were_taken_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "_GENERATION_SIZE", 10)
    ready, file = Readiness(), File()
    for number in range(1000):
        assert ready.judge(b"%d" % number, file.look(0), 0)[0]
    assert not ready.on_event(b"999", 1), "taken lately"
    assert ready.on_event(b"0", 1), "too long ago to be remembered"
    assert len(ready._recent._young) + len(ready._recent._old) <= 20


def test_the_schedule_does_not_grow_with_the_number_of_events() -> None:
    file = File()
    file.writers = Writers.SOME
    for number in range(10_000):
        file.event(number / 10_000)
    assert len(file.readiness._schedule) <= 100


def test_each_creation_counts_from_its_own_time() -> None:
    ready = Readiness()
    ready.on_created(b"again", 0)
    ready.on_created(b"once", 0.5)
    ready.on_created(b"again", 0.75)
    assert ready.next_due() == 1.5
    assert (ready.pop_due(1.5), ready.pop_due(1.5)) == (b"once", None)
    assert ready.pop_due(1.75) == b"again"


def test_a_look_that_was_planned_for_a_file_that_is_gone_is_not_made_for_its_successor() -> None:
    file = File()
    assert file.run("0 SOME event; 0.5 moved-away event; 1.25 NONE", until=1.25) == []
    assert file.looks == 2
    file.advance(2)
    assert file.outcomes == ["1.5 taken"]


@pytest.mark.parametrize(("after_s", "is_remembered"), [(1, True), (59, True), (130, False)])
def test_a_file_counts_as_closed_again_for_about_a_minute(after_s: float, is_remembered: bool) -> None:
    for began in (0.0, 30.0, 59.0):
        ready, file = Readiness(), File()
        assert ready.judge(b"other", file.look(0), 0)[0]
        assert ready.judge(b"file", file.look(began), began)[0]
        assert ready.on_event(b"file", began + after_s) is not is_remembered
