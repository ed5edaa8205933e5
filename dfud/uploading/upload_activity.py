"""What the display shows of an upload."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from dfud.core.sizes import shown_size
from dfud.core.text import counted, printable
from dfud.display.activity import Activity, Fact, Tone, Transfer
from dfud.display.amounts import shown_rate, time_left
from dfud.display.meter import Meter
from dfud.logs.upload_status import BrokerState
from dfud.uploading.entry import Entry, State
from dfud.uploading.ledger import Ledger
from dfud.uploading.reporter import UploadReporter
from dfud.uploading.run_status import RunStatus
from dfud.uploading.transfers import Transfers

_MIN_LOOK_INTERVAL_S = 0.25
_COST_FACTOR = 500  # times what a look at all files takes: 0.2 % of a core
_MAX_SHOWN = 3  # files
_MIN_SHOWN_BYTES = 1 << 20  # of a file that is named: a smaller one is gone before it is read
_BROKER_TONES: dict[BrokerState, Tone] = {"unreachable": "bad", "slow": "doubtful", "reachable": "good"}


class UploadActivity:
    """Responsible for the few numbers that say how an upload is going."""

    def __init__(
        self,
        ledger: Ledger,
        reporter: UploadReporter,
        state: RunStatus,
        transfers: Transfers,
        is_finishing: Callable[[], bool],
        clock: Callable[[], float] = time.perf_counter,
    ) -> None:
        """Tell what these know; `clock` measures what that costs (s)."""
        self._ledger = ledger
        self._reporter = reporter
        self._state = state
        self._transfers = transfers
        self._is_finishing = is_finishing
        self._clock = clock
        self._next_look = 0.0  # s, monotonic
        self._to_send = 0  # bytes of all files, at the last look
        self._acked = 0  # bytes, at the last look
        self._base = 0  # bytes that were acknowledged when there was nothing to do
        self._failed = self._retrying = self._held = 0
        self._largest: list[Entry] = []  # files on their way, at the last look
        self._byte_rate, self._file_rate = Meter(), Meter()

    def __call__(self, now: float) -> Activity:
        """Return how things are at `now` (s, monotonic)."""
        reporter = self._reporter
        is_idle = not self._ledger.open_files
        if now >= self._next_look or is_idle:
            self._look(now)
        if is_idle:
            self._base = reporter.acked_bytes
            self._byte_rate.clear()
            self._file_rate.clear()
            return Activity((*self._counts(), *self._states()), is_idle=True)
        acked = reporter.acked_bytes
        rate = self._byte_rate.add(now, acked)
        files = self._file_rate.add(now, reporter.completed_versions)
        total = max(self._acked + self._to_send, acked) - self._base
        done = acked - self._base
        left = time_left(total - done, rate) if self._byte_rate.is_steady else ""
        facts = [Fact(shown_rate(rate))]
        if files >= 1:
            facts.append(Fact(f"{files:,.0f} files/s"))
        if left:
            facts.append(Fact(left))
        shown = [each for each in self._largest if each.state is State.ACTIVE]
        return Activity(
            (*facts, *self._counts(), *self._states()),
            done / total if total else None,
            f"{shown_size(done)} of {shown_size(total)}" if total else "",
            tuple(Transfer(printable(each.version.path), each.acked_bytes, each.version.size) for each in shown),
            self._ledger.n_active - len(shown) if shown else 0,
        )

    def _counts(self) -> Iterator[Fact]:
        yield Fact(f"{counted(self._reporter.completed_versions, 'file')} done")
        if self._ledger.open_files:
            yield Fact(f"{self._ledger.open_files:,} to do")
        else:
            yield Fact(f"{shown_size(self._reporter.acked_bytes)} sent")
        if self._failed:
            yield Fact(f"{self._failed:,} failed", "bad")
        if self._retrying:
            yield Fact(f"{self._retrying:,} tried again", "doubtful")
        if self._held:
            yield Fact(f"{self._held:,} still written", "doubtful")

    def _states(self) -> Iterator[Fact]:
        broker = self._state.broker
        yield Fact(f"broker {broker.state}", _BROKER_TONES.get(broker.state, ""))
        if self._is_finishing():
            yield Fact("finishing")
        elif not self._ledger.open_files:
            yield Fact("waiting for files", "quiet")

    def _look(self, now: float) -> None:
        """Visit all files in progress, as seldom as that takes long."""
        began = self._clock()
        to_send = failed = retrying = held = 0
        for entry in self._ledger.in_progress():
            if entry.state is State.HELD:
                held += 1
            elif entry.state is State.FAILED or entry.state is State.GIVEN_UP:
                failed += 1
            else:
                to_send += entry.version.size - entry.acked_bytes if entry.acked else entry.version.size
                retrying += bool(entry.named)
        self._to_send, self._acked = to_send, self._reporter.acked_bytes
        self._failed, self._retrying, self._held = failed, retrying, held
        largest = self._transfers.largest(_MAX_SHOWN)
        self._largest = [each for each in largest if each.version.size >= _MIN_SHOWN_BYTES]
        self._next_look = now + max(_MIN_LOOK_INTERVAL_S, _COST_FACTOR * (self._clock() - began))
