"""Messages that were not delivered: how long they wait, and in which order they are produced again."""

from __future__ import annotations

import math
from typing import NamedTuple

from dfud.uploading.upload import Upload

FIRST_RETRY_S, MAX_RETRY_S = 0.25, 5.0  # s before messages are produced again


class Retry(NamedTuple):
    """A message to produce again."""

    upload: Upload
    number: int  # of the chunk
    value: bytes  # of the message; the rest is rebuilt


class RetryQueue:
    """Responsible for the pauses between attempts: doubled each time, until something is acknowledged.

    All that fails during a pause is produced again at its end, in the order in which it failed.
    """

    def __init__(self) -> None:
        self._retries: list[Retry] = []
        self._taken_at = -math.inf  # s, monotonic
        self.due_at = -math.inf  # s, monotonic; the end of the last pause if nothing waits
        self.pause_s = FIRST_RETRY_S  # the next pause, unless something is acknowledged before it begins

    def __len__(self) -> int:
        """Count the messages that wait."""
        return len(self._retries)

    def add(self, retry: Retry, now: float, last_ack: float, at_once: bool = False) -> None:
        """Queue a message that failed at `now`; the first one begins a pause, of no length if `at_once`.

        `last_ack` is the time of the last acknowledgement; one since the last attempt makes the pause short again.
        """
        if not self._retries:
            if last_ack > self._taken_at:
                self.pause_s = FIRST_RETRY_S
            self.due_at = now if at_once else now + self.pause_s
            self.pause_s = min(2 * self.pause_s, MAX_RETRY_S)
        self._retries.append(retry)

    def is_due(self, now: float) -> bool:
        """Return whether no pause is going on."""
        return now >= self.due_at

    def take_due(self, now: float) -> list[Retry]:
        """Remove all messages unless a pause is going on; return them without those of files that have failed."""
        if not self.is_due(now):
            return []
        retries, self._retries = self._retries, []
        self._taken_at = now
        return [retry for retry in retries if not retry.upload.failure]
