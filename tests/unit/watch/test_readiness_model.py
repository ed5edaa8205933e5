"""A model check of readiness: every short order, and long random ones, of what writers and folders can do.

The file system, its events and the watcher's reaction to them are models; what decides is the real `Readiness`.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import pytest

from dfud.core.version import FileVersion
from dfud.watch import readiness
from dfud.watch.readiness import Look, Readiness, Writers

Step = tuple[Any, ...]  # the name of a method of FileSystem or World, and its arguments

INSIDE = ("a", "b", "m")  # paths that dfud watches; "m" is where something can be mounted
OUTSIDE = "x"
LEASE_BREAK_S = 10.0
END_S = 100.0  # within which everything has to be decided, once nothing happens any more


class Inode:
    """A file, and which of its names dfud can know to be written to."""

    def __init__(self, number: int, is_told: bool) -> None:
        self.number = number
        self.is_told = is_told  # the kernel tells dfud who writes to it
        self.is_leased = False
        self.content = 0  # stands for the bytes
        self.size = 0
        self.mtime = self.ctime = 0
        self.changed_at = 0.0  # s
        self.writers = 0
        self.promised: set[str] = set()  # names of which an event has told or will tell that they are written
        self.seen: set[str] = set()  # those that an event has named since it was opened


class Entry:
    """A name in a folder, as the kernel knows it: it moves with a rename, and outlives its removal while open."""

    def __init__(self, path: str, inode: Inode) -> None:
        self.path: str | None = path  # None once it is removed
        self.inode = inode


class Event(NamedTuple):
    kind: str  # created, closed, moved_from, moved_to
    path: str


class FileSystem:
    """Files with their writers, and the events that inotify would queue for the paths inside."""

    def __init__(self, is_told: bool) -> None:
        self.is_told = is_told
        self.entries: dict[str, Entry] = {}
        self.handles: dict[int, Entry] = {}  # by writer
        self.events: list[Event] = []
        self.mounted: list[str] = []  # to be scanned
        self.stale: set[str] = set()  # names whose files changed in a way that nothing reports
        self.serial = 0
        self.now = 0.0

    def _emit(self, kind: str, path: str | None) -> None:
        if path in INSIDE:
            self.events.append(Event(kind, path))
            self.name(path)

    def name(self, path: str) -> None:
        """Note that dfud has a reason to look at `path` from now on."""
        self.stale.discard(path)
        entry = self.entries.get(path)
        if entry is not None and entry.inode.writers:
            entry.inode.promised.add(path)
            entry.inode.seen.add(path)

    def _change(self, inode: Inode, keeps_version: bool = False) -> None:
        self.serial += 1
        inode.content = inode.ctime = self.serial
        inode.changed_at = self.now
        if not keeps_version:
            inode.mtime = self.serial
            inode.size += 1
        for path, entry in self.entries.items():
            is_known = inode.is_told and inode.writers and path in inode.promised
            if entry.inode is inode and not is_known:
                self.stale.add(path)

    def _touch(self, inode: Inode) -> None:
        self.serial += 1
        inode.ctime = self.serial

    # Each returns whether it is possible.

    def open(self, writer: int, path: str) -> bool:
        if writer in self.handles:
            return False
        is_new = path not in self.entries
        if is_new:
            self.serial += 1
            self.entries[path] = Entry(path, Inode(self.serial, self.is_told))
        entry = self.handles[writer] = self.entries[path]
        inode = entry.inode
        if not inode.writers:
            inode.promised, inode.seen = set(), set()
        inode.writers += 1
        inode.promised.add(path)
        if is_new:
            self._emit("created", path)
        return True

    def write(self, writer: int, keeps_version: bool = False) -> bool:
        if writer not in self.handles:
            return False
        self._change(self.handles[writer].inode, keeps_version)
        return True

    def close(self, writer: int) -> bool:
        entry = self.handles.pop(writer, None)
        if entry is None:
            return False
        entry.inode.writers -= 1
        self._emit("closed", entry.path)  # IN_EXCL_UNLINK: nothing for a name that was removed
        return True

    def link(self, source: str, target: str) -> bool:
        if source not in self.entries or target in self.entries:
            return False
        inode = self.entries[source].inode
        self.entries[target] = Entry(target, inode)
        self._touch(inode)
        self._emit("created", target)
        return True

    def unlink(self, path: str) -> bool:
        entry = self.entries.pop(path, None)
        if entry is None:
            return False
        entry.path = None
        self._touch(entry.inode)
        return True

    def rename(self, source: str, target: str) -> bool:
        entry = self.entries.get(source)
        replaced = self.entries.get(target)
        if entry is None or (replaced is not None and replaced.inode is entry.inode):
            return False
        if replaced is not None:
            replaced.path = None
        del self.entries[source]
        self.entries[target] = entry
        entry.path = target
        self._touch(entry.inode)
        self._emit("moved_from", source)
        self._emit("moved_to", target)
        return True

    def truncate(self, path: str) -> bool:
        if path not in self.entries:
            return False
        self._change(self.entries[path].inode)
        return True

    def mount(self) -> bool:
        """Show the file that is outside at a place inside, too."""
        if OUTSIDE not in self.entries or "m" in self.entries:
            return False
        self.entries["m"] = Entry("m", self.entries[OUTSIDE].inode)
        self.mounted.append("m")
        self.name("m")
        return True

    def lease(self, path: str) -> bool:
        """Let another program take a lease, or give it up."""
        entry = self.entries.get(path)
        if entry is None or entry.inode.writers:
            return False
        entry.inode.is_leased = not entry.inode.is_leased
        return True

    def is_link(self, path: str) -> bool:
        inode = self.entries[path].inode if path in self.entries else None
        return inode is not None and sum(entry.inode is inode for entry in self.entries.values()) > 1


class BrokenError(AssertionError):
    """A property does not hold."""


def check(holds: bool, text: str) -> None:
    if not holds:
        raise BrokenError(text)


class World:
    """A file system, and a dfud that watches it."""

    def __init__(self, is_told: bool = True, make: type[Readiness] = Readiness) -> None:
        self.files = FileSystem(is_told)
        self.make = make
        self.now = 0.0
        self.recorded: dict[str, tuple[tuple[int, int], int]] = {}  # by path: the version and content sent last
        self.left: list[str] = []
        self.looks = 0
        self.start()

    # -- dfud: what EventSource and Inspector do

    def start(self) -> None:
        self.readiness = self.make(lease_break_s=LEASE_BREAK_S)
        self.named: dict[str, None] = {}  # paths that events have named

    def restart(self) -> bool:
        """Kill dfud, and start it again: it scans for what has changed."""
        self.start()
        self.files.events.clear()
        self.files.mounted.clear()
        for path in INSIDE:
            self.scan(path)
        return True

    def scan(self, path: str) -> None:
        if path in self.files.entries:
            self.files.name(path)
            if not self.readiness.is_waiting(path.encode()):
                self.judge(path, compare=True, scanned=True)

    def read(self) -> bool:
        """Read the events; what they name waits."""
        for kind, path in self.files.events:
            if kind == "created" and not self.files.is_link(path):
                self.readiness.on_created(path.encode(), self.now)
            elif kind == "moved_from":
                self.readiness.on_gone(path.encode())
            else:
                self.named.pop(path, None)
                self.named[path] = None
        self.files.events.clear()
        return True

    def work(self) -> None:
        """Look at everything that is named, found or due."""
        self.read()
        while (path := self.readiness.pop_due(self.now)) is not None:
            self.judge(path.decode())
        for name in list(self.named):
            del self.named[name]
            if self.readiness.on_event(name.encode(), self.now):
                self.judge(name, compare=True)
        while self.files.mounted:
            self.scan(self.files.mounted.pop())

    def judge(self, path: str, compare: bool = False, scanned: bool = False) -> None:
        self.looks += 1
        check(self.looks < 1000, "there is no end of looks")
        look = self.look(path)
        is_ready, compare = self.readiness.judge(path.encode(), look, self.now, compare, scanned)
        if is_ready:
            check(look is not None, f"{path} is taken, but gone")
            inode = self.files.entries[path].inode
            check(not (inode.is_told and inode.writers), f"{path} is taken while it is open")
            has_settled = self.now - inode.changed_at >= readiness.SETTLING_S or not inode.size
            check(inode.is_told or has_settled, f"{path} is taken before it has settled")
            check(not inode.is_leased, f"{path} is taken while it is leased")
            version = inode.size, inode.mtime
            if compare or path not in self.recorded or self.recorded[path][0] != version:
                self.recorded[path] = version, inode.content

    def look(self, path: str) -> Look | None:
        entry = self.files.entries.get(path)
        if entry is None:
            return None
        inode = entry.inode
        if inode.is_leased:
            writers = Writers.LEASED
        elif not inode.is_told:
            writers = Writers.UNKNOWN
        else:
            writers = Writers.SOME if inode.writers else Writers.NONE
        version = FileVersion(path.encode(), inode.size, inode.mtime)
        return Look(version, inode.ctime, inode.number, writers, 0.0)

    def advance(self, seconds: float) -> bool:
        """Let time pass, and dfud do what is due."""
        until = self.now + seconds
        self.work()
        while (due := self.readiness.next_due()) is not None and due <= until:
            self.now = max(self.now, due)
            self.work()
        self.now = until
        self.check_waiting()
        return True

    def check_waiting(self) -> None:
        due = self.readiness.next_due()
        check(due is not None or not len(self.readiness), "something waits for ever")
        check(due is None or due <= self.now + 56, "something waits for too long")

    # -- the end

    def quit(self, late: Sequence[Step] = ()) -> None:
        """End, and let the `late` steps happen meanwhile."""
        self.read()
        expected = [path.encode() for path in self.named]
        self.readiness.start_end(self.now, takes_closed=True, expected=expected)
        began = self.now
        for step in late:
            do(self, step)
        self.work()
        while not self.readiness.is_settled:
            due = self.readiness.next_due()
            check(due is not None, "the end never comes")
            assert due is not None
            self.now = max(self.now, due)
            self.work()
            check(self.now <= began + LEASE_BREAK_S + 5, "the end comes too late")
        self.left = [path.decode() for path, _ in self.readiness.pop_left()]

    def check_taken(self) -> None:
        """Check that everything that is complete was taken, as it is now."""
        for path in INSIDE:
            entry = self.files.entries.get(path)
            if entry is None or path in self.files.stale or entry.inode.is_leased:
                continue
            inode = entry.inode
            if inode.writers and (inode.is_told or path not in self.recorded):
                continue
            recorded = self.recorded.get(path)
            check(recorded is not None, f"{path} was never taken")
            assert recorded is not None
            check(recorded[1] == inode.content, f"{path} was taken as it was earlier")

    def check_left(self) -> None:
        check(len(set(self.left)) == len(self.left), "a file is named twice")
        for path in INSIDE:
            entry = self.files.entries.get(path)
            inode = entry.inode if entry is not None else None
            if inode is not None and inode.is_leased:
                continue
            if inode is None or not inode.is_told or not inode.writers:
                check(path not in self.left, f"{path} is complete or gone, and named as left")
            elif path in inode.seen:
                check(path in self.left, f"{path} is open, and not named")


def do(world: World, step: Step) -> bool:
    """Do a step; return False if it is impossible."""
    name, *arguments = step
    world.files.now = world.now
    owner = world if name in ("advance", "read", "restart") else world.files
    return bool(getattr(owner, name)(*arguments))


def check_end(world: World, waits: bool, late: Sequence[Step] = ()) -> None:
    """Check all properties, after a while or at once.

    If something happens while dfud ends, it is for the next run to find.
    """
    if waits:
        world.advance(END_S)
        world.check_taken()
    world.quit(late)
    if late:
        check(len(set(world.left)) == len(world.left), "a file is named twice")
        world.restart()
        world.quit()
    world.check_taken()
    world.check_left()


WRITER_STEPS: list[Step] = [
    ("open", 0, "a"), ("open", 0, "x"), ("open", 1, "a"), ("open", 1, "b"),
    ("write", 0), ("write", 0, True), ("write", 1), ("close", 0), ("close", 1),
    ("link", "x", "a"), ("link", "a", "b"), ("unlink", "a"), ("unlink", "x"),
    ("rename", "x", "a"), ("rename", "a", "b"), ("rename", "a", "x"), ("truncate", "a"), ("mount",),
]  # fmt: skip
DFUD_STEPS: list[Step] = [("advance", 0.0), ("advance", 1.5), ("read",), ("restart",)]
RARE_STEPS: list[Step] = [
    ("lease", "a"), ("lease", "x"), ("unlink", "b"), ("unlink", "m"), ("rename", "b", "a"), ("open", 1, "x"),
    ("truncate", "x"), ("rename", "x", "b"), ("advance", 0.5), ("advance", 7.0), ("advance", 200.0),
]  # fmt: skip

# Where the short orders begin: what an instrument may have done when something else comes up.
BEGINNINGS: dict[str, list[Step]] = {
    "nothing": [],
    "a file that was sent": [("open", 0, "a"), ("write", 0), ("close", 0), ("advance", 0.0)],
    "a file that is written": [("open", 0, "a"), ("write", 0), ("advance", 1.5)],
    "a file that is written outside": [("open", 0, "x"), ("write", 0)],
    "a file that is written and linked in": [("open", 0, "x"), ("write", 0), ("link", "x", "a"), ("advance", 0.0)],
}


def run(order: list[Step], is_told: bool, waits: bool, make: type[Readiness] = Readiness) -> bool:
    """Run an order and check it; return False if one of its steps is impossible."""
    world = World(is_told, make)
    for step in order:
        if not do(world, step):
            return False
    check_end(world, waits)
    return True


def run_all(beginning: list[Step], length: int, is_told: bool, make: type[Readiness] = Readiness) -> int:
    """Run every possible order after a beginning; return how many there are."""
    count = 0
    possible: list[list[Step]] = [beginning]
    for _ in range(length):
        longer = []
        for order in possible:
            for step in WRITER_STEPS + DFUD_STEPS:
                if order and step in DFUD_STEPS and order[-1] in DFUD_STEPS:
                    continue
                candidate = [*order, step]
                try:
                    is_possible = run(candidate, is_told, bool(count % 2), make)
                except BrokenError as error:
                    raise BrokenError(
                        f"{error}, after {candidate} ({is_told=}, waits={bool(count % 2)})"
                    ) from error
                if is_possible:
                    count += 1
                    longer.append(candidate)
        possible = longer
    return count


def walk(seed: int, length: int, make: type[Readiness] = Readiness) -> None:
    """Take a random walk."""
    chooser = random.Random(seed)
    is_told, waits = chooser.random() < 0.7, chooser.random() < 0.5
    late = chooser.choices(WRITER_STEPS, k=chooser.choice([0, 0, 3]))
    world = World(is_told, make)
    done: list[Step] = []
    steps = 3 * WRITER_STEPS + 4 * DFUD_STEPS + RARE_STEPS
    try:
        while len(done) < length:
            step = chooser.choice(steps)
            if do(world, step):
                done.append(step)
        check_end(world, waits, late)
    except BrokenError as error:
        raise BrokenError(f"{error}, after {done} ({seed=}, {is_told=}, {waits=}, {late=})") from error


class Unaware(Readiness):
    """Takes what is closed, whoever else writes to it."""

    def judge(
        self, path: bytes, look: Look | None, now: float, compare: bool = False, scanned: bool = False
    ) -> tuple[bool, bool]:
        if look is not None and look.writers is Writers.SOME:
            look = look._replace(writers=Writers.NONE)
        return super().judge(path, look, now, compare, scanned)


class Impatient(Readiness):
    """Does not look again at a file that is being written: its close will be reported."""

    def _on_open(self, path: bytes, waiting: readiness._Waiting, writers: Writers, now: float) -> None:
        self.on_gone(path)


class OneLook(Readiness):
    """Takes a file at the first look if the kernel does not say who writes to it."""

    def _quiet_s(self, path: bytes, look: Look) -> float:
        return 0.0


class DeafToLinks(Readiness):
    """Knows nothing of files that are created, until they are closed."""

    def on_created(self, path: bytes, now: float) -> None:
        pass


class Incurious(Readiness):
    """Does not ask for a comparison, so that size and mtime decide whether a file is a new one."""

    def judge(
        self, path: bytes, look: Look | None, now: float, compare: bool = False, scanned: bool = False
    ) -> tuple[bool, bool]:
        return super().judge(path, look, now, compare, scanned)[0], False


class Silent(Readiness):
    """Does not say what is left."""

    def pop_left(self) -> list[tuple[bytes, str]]:
        return []


class Forgetful(Readiness):
    """Waits, and never looks again."""

    def _look_at(self, path: bytes, waiting: readiness._Waiting, due: float) -> None:
        pass


class Endless(Readiness):
    """Waits at the end for what is being written."""

    def _leave(self, path: bytes, waiting: readiness._Waiting, reason: str) -> None:
        pass


@pytest.mark.parametrize(
    ("make", "text"),
    [
        pytest.param(Unaware, "is taken while it is open", id="other writers"),
        pytest.param(Impatient, "was never taken", id="a close under another name"),
        pytest.param(Impatient, "is open, and not named", id="open at the end"),
        pytest.param(OneLook, "is taken before it has settled", id="settling"),
        pytest.param(DeafToLinks, "was never taken", id="created and linked away"),
        pytest.param(Incurious, "was taken as it was earlier", id="the same size and time"),
        pytest.param(Silent, "is open, and not named", id="what is left"),
        pytest.param(Forgetful, "something waits for ever", id="no further look"),
        pytest.param(Forgetful, "the end never comes", id="no look at the end"),
        pytest.param(Endless, "the end comes too late", id="an end that waits for writers"),
    ],
)
def test_the_check_finds_what_is_wrong(make: type[Readiness], text: str) -> None:
    """Each property can fail."""
    for seed in range(3000):
        try:
            walk(seed, 25, make)
        except BrokenError as error:
            if text in str(error):
                return
    pytest.fail(f"no walk finds: {text}")


@pytest.mark.parametrize("is_told", [True, False], ids=["own files", "files of another user"])
@pytest.mark.parametrize("name", BEGINNINGS)
def test_every_short_order(name: str, is_told: bool) -> None:
    assert run_all(BEGINNINGS[name], 3, is_told) > 300


@pytest.mark.parametrize("seed", range(20))
def test_long_random_orders(seed: int) -> None:
    for number in range(100):
        walk(1000 * seed + number, length=25)
