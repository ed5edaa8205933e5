"""What programs do to files in a watched folder, what the kernel reports of it, and which files are ready then.

``python -m tests.helpers.event_orders`` takes the orders anew from the kernel and writes them to the fixture.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from inotify_simple import Event, flags

from dfud.files.scan import join
from dfud.watch.events import EventSource
from tests.helpers.unavailable import UnavailableError
from tests.helpers.watching import WatchParts

FIXTURE = Path(__file__).parent.parent / "fixtures" / "event_orders.txt"
_LATER_S = 30.0  # after the last step; in it, whatever waits is looked at

Steps = Iterator[str]  # says what was done

_HEADER = """\
# What programs do in a watched folder, which events inotify(7) reports for each step (by the mask that dfud asks
# for), and which files dfud then finds to be ready: at once, or "later", when no event has come since.
# There is a file "old" at the start. Made by: python -m tests.helpers.event_orders"""


def _write(path: Path, text: str, flags: int = os.O_CREAT) -> int:
    """Open a file, write to it, and return its descriptor."""
    descriptor = os.open(path, os.O_WRONLY | flags, 0o666)
    os.write(descriptor, text.encode())
    return descriptor


def written(top: Path, outside: Path) -> Steps:
    """A file is written and closed."""
    descriptor = _write(top / "file", "one")
    yield "create and write file"
    os.write(descriptor, b"two")
    os.close(descriptor)
    yield "write and close file"


def appended(top: Path, outside: Path) -> Steps:
    """A file that was there before is appended to."""
    descriptor = _write(top / "old", "two", os.O_APPEND)
    yield "open and append to old"
    os.close(descriptor)
    yield "close old"


def two_writers(top: Path, outside: Path) -> Steps:
    """Two processes write to a file."""
    first, second = _write(top / "file", "one"), _write(top / "file", "two")
    yield "create file, and open it a second time"
    os.close(first)
    yield "close the first"
    os.close(second)
    yield "close the second"


def created_only(top: Path, outside: Path) -> Steps:
    """A file is made without being opened (mknod)."""
    os.mknod(top / "file", 0o600)
    yield "mknod file"


def opened_for_reading(top: Path, outside: Path) -> Steps:
    """A file is read."""
    (top / "old").read_bytes()
    yield "open, read and close old"


def published_by_link(top: Path, outside: Path) -> Steps:
    """A file is published by link and unlink (Qt)."""
    descriptor = _write(top / ".part", "text")
    yield "create and write .part"
    os.link(top / ".part", top / "file")
    (top / ".part").unlink()
    yield "link .part to file, and unlink .part"
    os.close(descriptor)
    yield "close it"


def published_by_link_when_closed(top: Path, outside: Path) -> Steps:
    """A file is closed, then published by link and unlink (Qt)."""
    os.close(_write(top / ".part", "text"))
    os.link(top / ".part", top / "file")
    (top / ".part").unlink()
    yield "create, write and close .part, link it to file, and unlink .part"


def published_without_a_name(top: Path, outside: Path) -> Steps:
    """A file without a name is written, and given one (O_TMPFILE, linkat)."""
    try:
        descriptor = _write(top, "text", os.O_TMPFILE)
    except OSError as error:
        raise UnavailableError(f"O_TMPFILE: {error.strerror}") from None
    yield "open with O_TMPFILE, and write"
    folder = os.open(top, os.O_PATH)
    os.link(f"/proc/self/fd/{descriptor}", top / "file", src_dir_fd=folder, follow_symlinks=True)
    os.close(folder)
    yield "linkat file"
    os.close(descriptor)
    yield "close it"


def renamed_over(top: Path, outside: Path) -> Steps:
    """A file is renamed over another one."""
    os.close(_write(top / ".new", "new"))
    (top / ".new").rename(top / "old")
    yield "create, write and close .new, and rename it to old"


def renamed_while_written(top: Path, outside: Path) -> Steps:
    """A file is renamed while it is written."""
    descriptor = _write(top / "file.part", "one")
    yield "create and write file.part"
    (top / "file.part").rename(top / "file")
    yield "rename file.part to file"
    os.write(descriptor, b"two")
    os.close(descriptor)
    yield "write and close it"


def moved_in(top: Path, outside: Path) -> Steps:
    """A file is moved in."""
    os.close(_write(outside / "file", "text"))
    (outside / "file").rename(top / "file")
    yield "rename ../outside/file to file"


def moved_in_while_written(top: Path, outside: Path) -> Steps:
    """A file is moved in while it is written."""
    descriptor = _write(outside / "file", "one")
    (outside / "file").rename(top / "file")
    yield "rename ../outside/file to file"
    os.write(descriptor, b"two")
    os.close(descriptor)
    yield "write and close it"


def linked_in_while_written(top: Path, outside: Path) -> Steps:
    """A file is linked in while it is written."""
    descriptor = _write(outside / "file", "one")
    os.link(outside / "file", top / "file")
    yield "link ../outside/file to file"
    os.write(descriptor, b"two")
    os.close(descriptor)
    yield "write and close it, by its name outside"


def soft_link(top: Path, outside: Path) -> Steps:
    """A symbolic link is made."""
    (top / "link").symlink_to("old")
    yield "symlink link to old"


def moved_away(top: Path, outside: Path) -> Steps:
    """A file is moved away while it is written."""
    descriptor = _write(top / "file", "text")
    (top / "file").rename(outside / "file")
    yield "create file, write to it, and rename it to ../outside/file"
    os.close(descriptor)
    yield "close it"


def copied(top: Path, outside: Path) -> Steps:
    """A file is copied with its times (cp -p)."""
    (outside / "file").write_text("text")
    os.utime(outside / "file", (1, 1))
    subprocess.run(["cp", "-p", outside / "file", top / "file"], check=True)
    yield "cp -p ../outside/file file"


def mapped(top: Path, outside: Path) -> Steps:
    """A file is written through a map."""
    descriptor = os.open(top / "file", os.O_RDWR | os.O_CREAT)
    os.truncate(descriptor, 4096)
    pages = mmap.mmap(descriptor, 4096)
    os.close(descriptor)
    yield "create and map file, and close its descriptor"
    pages[:4] = b"text"
    pages.close()
    yield "write to the map, and unmap it"


def truncated_by_path(top: Path, outside: Path) -> Steps:
    """A file is truncated by its path, which opens and closes nothing."""
    os.truncate(top / "old", 1)
    yield "truncate old"


def truncated_by_open(top: Path, outside: Path) -> Steps:
    """A file is emptied by the shell (: > old)."""
    subprocess.run(["sh", "-c", ': > "$0"', top / "old"], check=True)
    yield ": > old"


def removed(top: Path, outside: Path) -> Steps:
    """A file is removed while it is written."""
    descriptor = _write(top / "file", "text")
    (top / "file").unlink()
    yield "create file, write to it, and remove it"
    os.close(descriptor)
    yield "close it"


def folder_with_files(top: Path, outside: Path) -> Steps:
    """A folder is made, and files in it at once."""
    (top / "sub" / "below").mkdir(parents=True)
    os.close(_write(top / "sub" / "one", "1"))
    os.close(_write(top / "sub" / "below" / "two", "2"))
    yield "mkdir sub sub/below; create, write and close sub/one and sub/below/two"
    os.close(_write(top / "sub" / "below" / "three", "3"))
    yield "create, write and close sub/below/three"


def folder_moved_in(top: Path, outside: Path) -> Steps:
    """A folder is moved in while a file in it is written."""
    (outside / "sub").mkdir()
    os.close(_write(outside / "sub" / "done", "1"))
    descriptor = _write(outside / "sub" / "written", "1")
    (outside / "sub").rename(top / "sub")
    yield "rename ../outside/sub to sub"
    os.close(descriptor)
    yield "close sub/written"


def folder_renamed(top: Path, outside: Path) -> Steps:
    """A folder is renamed while a file in it is written."""
    (top / "sub").mkdir()
    yield "mkdir sub"
    descriptor = _write(top / "sub" / "file", "1")
    yield "create and write sub/file"
    (top / "sub").rename(top / "other")
    yield "rename sub to other"
    os.close(descriptor)
    yield "close other/file"


SCENARIOS: list[Callable[[Path, Path], Steps]] = [
    written, appended, two_writers, created_only, opened_for_reading, published_by_link,
    published_by_link_when_closed, published_without_a_name, renamed_over, renamed_while_written,
    moved_in, moved_in_while_written,
    linked_in_while_written, soft_link, moved_away, copied, mapped, truncated_by_path, truncated_by_open,
    removed, folder_with_files, folder_moved_in, folder_renamed,
]  # fmt: skip


class Step(NamedTuple):
    """What is done, what the kernel reports, and which files are ready then."""

    text: str
    events: list[str]  # such as ``MOVED_TO|ISDIR sub``
    ready: list[str]


class _Watch(WatchParts):
    """A watched folder, whose events come from the kernel, or are given."""

    def __init__(self, top: Path) -> None:
        super().__init__(top, since_ns=2**63)
        self.source = EventSource(self.tree, self.inspector, self.before, False, 0, self.clock)
        self._watches = self.source._watches
        self._read = self._watches.read
        self._given: list[Event] | None = None
        self._events: list[str] = []
        self.ready_paths(self.source)
        self._watches.read = self._take  # type: ignore[method-assign]

    def step(self, text: str, given: list[str] | None) -> Step:
        """Let the source react to what was done, or to the events that are given in place of the kernel's."""
        self._given = None if given is None else [self._event(line) for line in given]
        self._events = [] if given is None else given
        return Step(text, self._events, self.ready_paths(self.source))

    def wait(self) -> Step:
        """Let time pass."""
        end, ready = self.now + _LATER_S, []
        while (wait_s := self.inspector.timeout(self.now)) is not None and self.now + wait_s <= end:
            self.now += wait_s
            ready += self.ready_paths(self.source)
        return Step("later", [], ready)

    def close(self) -> None:
        self.source.close()
        super().close()

    def _take(self) -> list[Event]:
        events = self._read()
        if self._given is not None:
            events, self._given = self._given, []
            return events
        self._events += [line for line in map(self._line, events) if line]
        return events

    def _line(self, event: Event) -> str:
        folder = self._watches.path(event.wd)
        if folder is None:
            return ""
        names = "|".join(flag.name for flag in flags.from_mask(event.mask))
        return f"{names} {os.fsdecode(join(folder, os.fsencode(event.name)))}"

    def _event(self, line: str) -> Event:
        names, _, path = line.partition(" ")
        mask = 0
        for name in names.split("|"):
            mask |= flags[name]
        folder, name = os.path.split(path)
        return Event(self._watches._watches[folder.encode()], mask, 0, name)


def run(scenario: Callable[[Path, Path], Steps], given: Sequence[Step] | None = None) -> list[Step]:
    """Do what a scenario does, with the kernel's events or those `given`; return what happened at each step."""
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory())
        top, outside = Path(name, "top"), Path(name, "outside")
        top.mkdir()
        outside.mkdir()
        (top / "old").write_text("old text")
        watch = stack.enter_context(contextlib.closing(_Watch(top)))
        done = []
        for number, text in enumerate(scenario(top, outside)):
            done.append(watch.step(text, None if given is None else given[number].events))
        later = watch.wait()
        return [*done, later] if later.ready else done


def title(scenario: Callable[[Path, Path], Steps]) -> str:
    """Return what a scenario is called in the fixture."""
    return (scenario.__doc__ or "").rstrip(".")


def to_text(orders: dict[str, list[Step]]) -> str:
    """Return the fixture's text."""
    lines = [_HEADER]
    for name, steps in orders.items():
        lines += ["", name]
        for step in steps:
            lines.append(f"  {step.text}")
            lines += [f"    {line}" for line in step.events]
            lines += [f"    ready: {path}" for path in step.ready]
    return "\n".join(lines) + "\n"


def read_fixture() -> dict[str, list[Step]]:
    """Return the steps of each scenario, as they were recorded."""
    orders: dict[str, list[Step]] = {}
    steps: list[Step] = []
    for line in FIXTURE.read_text(encoding="utf-8").splitlines():
        text = line.strip()
        if not text or text.startswith("#"):
            continue
        if line.startswith("    ready: "):
            steps[-1].ready.append(text[len("ready: ") :])
        elif line.startswith("    "):
            steps[-1].events.append(text)
        elif line.startswith("  "):
            steps.append(Step(text, [], []))
        else:
            steps = orders[text] = []
    return orders


if __name__ == "__main__":
    FIXTURE.write_text(to_text({title(scenario): run(scenario) for scenario in SCENARIOS}), encoding="utf-8")
