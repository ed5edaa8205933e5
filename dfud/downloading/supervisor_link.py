"""A fetcher's end of the channel to its supervisor."""

from __future__ import annotations

import select
from collections.abc import Callable
from typing import Protocol

from dfud.messages import FromFetcher, Merge, Notice, ReceiptsSent, Release, Stop, ToFetcher
from dfud.processes.channel import Channel
from dfud.processes.dispatch import Dispatcher


class AbandonedError(Exception):
    """The fetcher was asked to stop while the disk refuses what has been read."""


class Report(Protocol):
    """Takes a line for the user: its level as `logging` has it, and the file and the cause that it is about."""

    def __call__(self, level: int, text: str, file: bytes = b"", cause: str = "") -> None:
        """Take a line."""


class SupervisorLink:
    """Responsible for queuing what the supervisor is to receive, and for handling what it sends."""

    def __init__(
        self,
        channel: Channel[FromFetcher, ToFetcher],
        on_release: Callable[[Release], None],
        on_merge: Callable[[Merge], None],
        on_receipts_sent: Callable[[ReceiptsSent], None],
        log_level: int,
    ) -> None:
        """Call what handles each kind of message; lines below `log_level` are not sent."""
        self._channel = channel
        self._log_level = log_level
        self._dispatch: Dispatcher[ToFetcher] = Dispatcher(
            ToFetcher,
            {Release: on_release, Merge: on_merge, ReceiptsSent: on_receipts_sent, Stop: self._on_stop},
        )
        self._outbox: list[FromFetcher] = []
        self._postponed: list[ToFetcher] = []
        self.is_stopping = False  # the supervisor has asked us to stop

    def add(self, *messages: FromFetcher) -> None:
        """Queue messages for the next `send`."""
        self._outbox += messages

    def report(self, level: int, text: str, file: bytes = b"", cause: str = "") -> None:
        """Queue a line for the user, if it is to be logged."""
        if level >= self._log_level:
            self._outbox.append(Notice(level, text, file, cause))

    def send(self) -> None:
        """Send what was added, waiting while the supervisor does not read; PeerGoneError if it has ended."""
        if self._outbox:
            outbox, self._outbox = self._outbox, []
            self._channel.send(outbox)

    def handle(self) -> None:
        """Handle what has arrived, without waiting."""
        messages = [*self._postponed, *self._channel.receive(wait=False)]
        self._postponed = []
        for message in messages:
            self._dispatch(message)

    def pause(self, timeout_s: float) -> None:
        """Wait up to `timeout_s`; AbandonedError if we are asked to stop. Other messages are handled later."""
        if select.select([self._channel], [], [], timeout_s)[0]:
            for message in self._channel.receive(wait=False):
                if isinstance(message, Stop):
                    raise AbandonedError
                self._postponed.append(message)

    def wait_for_receipts(self, timeout_s: float) -> None:
        """Wait up to `timeout_s`, and handle what says that receipts were sent. All else is handled later."""
        if select.select([self._channel], [], [], timeout_s)[0]:
            for message in self._channel.receive(wait=False):
                if isinstance(message, ReceiptsSent):
                    self._dispatch(message)
                else:
                    self._postponed.append(message)

    def _on_stop(self, _: Stop) -> None:
        self.is_stopping = True
