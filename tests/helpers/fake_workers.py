"""Workers without processes: real channels, whose far ends the test holds, and deaths at its command."""

from __future__ import annotations

import os
import signal
from typing import Any, cast

from dfud.logs.completed.shard_copy import ShardCopy
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.processes.event_loop import RunContext
from dfud.processes.workers import Worker, WorkerPool
from dfud.watch.watcher import WatchOptions


class FakeProcess:
    """What a supervisor uses of a process."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.pid = 4711
        self.exitcode: int | None = None
        self.sentinel, self._write_end = os.pipe()

    def kill(self) -> None:
        if self.exitcode is None:
            self.exitcode = -signal.SIGKILL
            os.close(self._write_end)

    def close(self) -> None:
        """Close the descriptors."""
        self.kill()
        os.close(self.sentinel)

    def join(self) -> None:
        assert self.exitcode is not None, "a real process would not have ended"


class FakeWorker(Worker[Any, Any]):
    """A worker of which the test plays the process."""

    def __init__(self, name: str, link: links.Link[Any, Any]) -> None:
        ours, self.far_end = Channel.pair(link)
        super().__init__(cast("Any", FakeProcess(name)), ours)

    def report(self, *messages: Any) -> None:
        """Send `messages` to the supervisor."""
        self.far_end.send(messages)

    def received(self) -> list[Any]:
        """Return what the supervisor has sent since the last call."""
        messages: list[Any] = []
        while batch := self.far_end.receive(wait=False):
            messages.extend(batch)
        return messages

    def die(self) -> None:
        """End, as by SIGKILL; what was reported before may still be read."""
        self.far_end.close()
        self.process.kill()


class FakePool:
    """A pool of fake workers, which closes in the end what they have open."""

    def __init__(self) -> None:
        self.watches: list[WatchOptions] = []  # of the watchers that were started
        self._workers: list[FakeWorker] = []

    def start(self, name: str, link: links.Link[Any, Any]) -> FakeWorker:
        worker = FakeWorker(name, link)
        self._workers.append(worker)
        return worker

    def start_watcher(self, _: WorkerPool, options: WatchOptions) -> FakeWorker:
        self.watches.append(options)
        return self.start("watcher", links.WATCHER)

    def close(self, channel: Channel[Any, Any]) -> None:
        channel.close()

    def discard(self, worker: FakeWorker) -> None:
        self.close(worker.channel)

    def kill_all(self) -> None:
        for worker in self._workers:
            worker.process.kill()

    def close_all(self) -> None:
        for worker in self._workers:
            worker.channel.close()
            worker.far_end.close()
            worker.process.close()


class FakeLane:
    """A lane of two fake workers."""

    def __init__(self, number: int, pool: FakePool) -> None:
        self.number = number
        self._pool = pool
        self.first_shard = 1
        self.copies: list[ShardCopy] = []
        self.topic_id = ""
        self.progress = 0
        self._start_producer()
        self._start_chunker()

    def _start_producer(self) -> None:
        self.producer = self._pool.start(f"producer-{self.number}", links.PRODUCER)

    def _start_chunker(self) -> None:
        self.chunker = self._pool.start(f"chunker-{self.number}", links.CHUNKER)

    @property
    def workers(self) -> tuple[FakeWorker, FakeWorker]:
        return self.chunker, self.producer

    def on_new_topic(self, topic_id: str) -> None:
        self.topic_id = topic_id

    def kill(self) -> None:
        for worker in self.workers:
            worker.process.kill()

    def replace_chunker(self) -> None:
        self._start_chunker()

    def replace_both(self, first_shard: int) -> None:
        self.first_shard = first_shard
        self._start_producer()
        self._start_chunker()


class FakeUser:
    """Signals, a console and commands of the test's."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.is_open = True
        self.is_in_background = False
        self.has_pending = False
        self._signals: list[signal.Signals] = []
        self._commands: list[str] = []
        self._signal_pipe, self._command_pipe = os.pipe(), os.pipe()

    def context(self) -> RunContext:
        """Return the user as an event loop expects it; no dots are printed."""
        signals = _Source(self._signal_pipe, self._signals)
        commands = _Source(self._command_pipe, self._commands)
        return RunContext(cast("Any", signals), cast("Any", self), cast("Any", commands), -1.0)

    def close(self) -> None:
        for end in (*self._signal_pipe, *self._command_pipe):
            os.close(end)

    def send(self, *signals: signal.Signals) -> None:
        """Send signals, or just wake the event loop."""
        self._signals.extend(signals)
        os.write(self._signal_pipe[1], b"x")

    def type(self, command: str) -> None:
        self._commands.append(command)
        os.write(self._command_pipe[1], b"x")

    def fileno(self) -> int:
        """Return the descriptor of the console, on which nothing ever waits."""
        return -1

    def write_line(self, text: str) -> None:
        self.lines.append(text)

    due = None  # nothing but lines is shown

    def turn(self, now: float) -> None:
        """Show nothing but lines."""

    def wake(self) -> None:
        """Likewise."""

    def on_enter(self, n_lines: int) -> None:
        """Likewise."""


class _Source:
    """What becomes readable as something is added to a list."""

    is_open = True
    is_in_background = False
    n_echoed = 0

    def __init__(self, pipe: tuple[int, int], items: list[Any]) -> None:
        self._pipe = pipe
        self._items = items

    def fileno(self) -> int:
        return self._pipe[0]

    def read(self) -> list[Any]:
        os.read(self._pipe[0], 4096)
        items = list(self._items)
        self._items.clear()
        return items
