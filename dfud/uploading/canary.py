"""A file that is written again and again to see whether the upload would notice a file, and could send it.

It lies in LOGS. The watcher finds it by the same queue of events, or in the same rounds of polling, as all other
files; each chunker reads it, and each producer sends it, to a topic of its own.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import socket
from collections.abc import Callable

from dfud.core.text import escaped
from dfud.logs.layout import LogsFolder
from dfud.logs.times import IsoClock
from dfud.logs.upload_status import CanaryStatus
from dfud.messages import CanaryDelivered, CanaryFound, CanaryTask
from dfud.uploading.fleet import Fleet

_PATIENCE = 2  # intervals, after which a canary is late


class Canary:
    """Responsible for sending canaries, and for saying once when they do not come round, and when they do again.

    A lane that is busy with files may be late with its canaries, as long as it makes progress.
    """

    def __init__(
        self,
        interval_s: float,
        folder: LogsFolder,
        fleet: Fleet,
        log: logging.Logger,
        clock: Callable[[], float],
        iso_now: Callable[[], str] | None = None,
    ) -> None:
        """Write a canary into `folder` every `interval_s`."""
        self._interval_s = interval_s
        self._folder = folder
        self._fleet = fleet
        self._log = log
        self._clock = clock
        self._iso_now = iso_now or IsoClock()
        self.due: float | None = clock()  # s, monotonic; of the next one; None once no more are sent
        self._number = 0  # of the last one; 0 before the first
        self._n_found = 0  # the last one that the watcher has found
        self._delivered = {lane.number: 0 for lane in fleet.lanes}  # the last one of each lane
        self._reasons: dict[int, str] = {}  # why a lane could not deliver its last one
        self._sent_at: dict[int, float] = {}  # s, monotonic; of those that have not come round
        self._progress = self._progress_of_lanes()  # when the oldest of these was sent
        self._returned_at: str | None = None
        self._round_trip_s: float | None = None
        self._cause = ""  # why canaries do not come round; empty if they do
        self._is_stuck = False  # a worker does not do its part; neither the broker nor the disk is to blame

    @property
    def status(self) -> CanaryStatus:
        """What the status file says of it."""
        returned = min(self._delivered.values())
        return CanaryStatus(
            self._interval_s,
            self._number,
            returned,
            self._returned_at,
            self._round_trip_s,
            self._cause,
            self._is_stuck,
        )

    def end(self) -> None:
        """Send no more."""
        self.due = None
        with contextlib.suppress(OSError):
            self._folder.unlink(self._folder.canary)

    def turn(self, now: float) -> None:
        """Send the next one if it is time (s, monotonic) to, and check those that were sent."""
        if self.due is None or now < self.due:
            return
        self.due = now + self._interval_s
        self._check(now)
        self._number += 1
        if not self._sent_at:
            self._progress = self._progress_of_lanes()
        self._sent_at[self._number] = now
        try:
            self._folder.replace(self._folder.canary, [self._content()], durable=False)
        except OSError as error:
            self._set_cause(f"{self._folder.canary} cannot be written: {error.strerror}")

    def on_found(self, _: CanaryFound) -> None:
        """Let each lane send the canary that the watcher has found."""
        if self._n_found == self._number:  # by two sources
            return
        self._n_found = self._number
        for lane in self._fleet.lanes:
            lane.chunker.channel.post([CanaryTask(self._number, lane.number)])

    def on_delivered(self, message: CanaryDelivered) -> None:
        """Note that a lane has delivered one, or could not."""
        if message.reason:
            self._reasons[message.lane] = message.reason
            return
        self._reasons.pop(message.lane, None)
        self._delivered[message.lane] = max(message.number, self._delivered[message.lane])
        returned = min(self._delivered.values())
        sent_at = self._sent_at.get(returned)
        if sent_at is None:
            return
        self._round_trip_s = round(self._clock() - sent_at, 6)
        self._returned_at = self._iso_now()
        self._sent_at = {number: sent_at for number, sent_at in self._sent_at.items() if number > returned}
        self._progress = self._progress_of_lanes()
        if self._cause:
            self._cause, self._is_stuck = "", False
            self._log.warning(f"the canary comes round again, in {self._round_trip_s:.3f} s")

    def _check(self, now: float) -> None:
        oldest = next(iter(self._sent_at), 0)
        if not oldest or now - self._sent_at[oldest] < _PATIENCE * self._interval_s:
            return
        if self._n_found < oldest:
            self._set_cause("the watcher has not found it", is_stuck=True)
            return
        present = self._progress_of_lanes()
        for number, delivered in self._delivered.items():
            reason = self._reasons.get(number)
            if reason:
                self._set_cause(f"producer-{number} could not deliver it: {reason}")
                return
            if delivered < oldest and present[number] == self._progress[number]:
                cause = f"chunker-{number} has not read it, or producer-{number} not delivered it"
                self._set_cause(cause, is_stuck=True)
                return
        self._progress = present  # busy with files

    def _set_cause(self, cause: str, is_stuck: bool = False) -> None:
        self._is_stuck = is_stuck
        if cause != self._cause:
            self._cause = cause
            self._log.error(f"the canary has not come round: {cause}")

    def _progress_of_lanes(self) -> dict[int, int]:
        return {lane.number: lane.progress for lane in self._fleet.lanes}

    def _content(self) -> bytes:
        fields = {
            "canary": self._number,
            "time": self._iso_now(),
            "topic": self._folder.topic,
            "directory": escaped(self._folder.directory),
            "host": escaped(socket.gethostname()),
            "pid": os.getpid(),
        }
        return json.dumps(fields).encode()
