"""The supervisor's side of receipts: the process that sends them, and what it has not sent yet."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from dfud.core.text import counted, printable
from dfud.logs.log_lines import about
from dfud.messages import (
    EarlierFilesSent,
    FilesPlaced,
    FromReceiptSender,
    Notice,
    ReceiptRefused,
    ReceiptsDelayed,
    ReceiptsSent,
    ToReceiptSender,
)
from dfud.processes.dispatch import Dispatcher
from dfud.processes.event_loop import EventLoop
from dfud.processes.notices import log_notice
from dfud.processes.workers import Worker

SenderProcess = Worker[ToReceiptSender, FromReceiptSender]

_STOP_TIMEOUT_S = 3.0
_PATIENCE_S = 60.0  # of a run that is to end, while no receipt is sent
_MAX_NAMED = 20  # files whose receipts are refused


class ReceiptOutlet:
    """Responsible for passing on what fetchers owe, until it is sent, whichever process dies meanwhile."""

    def __init__(
        self,
        topic: str,
        start: Callable[[bool], SenderProcess],
        discard: Callable[[SenderProcess], None],
        log: logging.Logger,
        with_earlier: bool,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Send to `topic` by the process that `start` starts, and that `discard` forgets once it has ended.

        `start` is told whether the process has to send the receipts of all files of earlier runs, too.
        """
        self._topic = topic
        self._start = start
        self._discard = discard
        self._log = log
        self._with_earlier = with_earlier
        self._clock = clock
        self._owed: dict[int, tuple[int, FilesPlaced]] = {}  # by our number: the fetcher, and what it has sent
        self._last_number = 0
        self._on_sent: Callable[[int, ReceiptsSent], None] = lambda fetcher, sent: None
        self._troubles: set[str] = set()  # that were logged since something was sent
        self._trouble = ""
        self._n_refused = 0
        self._last_news = clock()
        self._dispatch: Dispatcher[FromReceiptSender] = Dispatcher(
            FromReceiptSender,
            {
                Notice: lambda notice: log_notice(log, notice),
                ReceiptsSent: self._on_receipts_sent,
                ReceiptsDelayed: self._on_delayed,
                ReceiptRefused: self._on_refused,
                EarlierFilesSent: self._on_earlier_sent,
            },
        )

    def run_in(self, loop: EventLoop, on_sent: Callable[[int, ReceiptsSent], None]) -> None:
        """Start the process, and watch it in `loop`; `on_sent` gets what a fetcher is to be told."""
        self._loop = loop
        self._on_sent = on_sent
        self._watch()

    def _watch(self) -> None:
        self.worker = self._start(self._with_earlier)
        self._loop.watch(self.worker, self._dispatch, self._on_death)

    # -- what fetchers report

    def send(self, fetcher: int, placed: FilesPlaced) -> None:
        """Have the receipts of files sent that a fetcher has put in place."""
        self._last_number += 1
        ours = FilesPlaced(self._last_number, placed.n_files, placed.files)
        if not self._owed:
            self._last_news = self._clock()
        self._owed[ours.number] = fetcher, placed
        self.worker.channel.post([ours])

    def forget(self) -> None:
        """Forget what is owed: the fetchers are restarted, and find it again, as nothing of it was committed."""
        self._owed.clear()

    # -- what the process reports

    def _on_receipts_sent(self, sent: ReceiptsSent) -> None:
        self._last_news = self._clock()
        owed = self._owed.pop(sent.number, None)
        if owed is not None:
            fetcher, placed = owed
            self._on_sent(fetcher, ReceiptsSent(placed.number))

    def _on_delayed(self, delay: ReceiptsDelayed) -> None:
        self._trouble = delay.reason
        if not delay.reason:
            if self._troubles:
                self._troubles.clear()
                self._log.warning(f"receipts reach topic {self._topic} again")
        elif delay.reason not in self._troubles:
            self._troubles.add(delay.reason)
            self._log.error(
                f"cannot send receipts to topic {self._topic}: {delay.reason}; retrying; downloading goes on, and "
                "offsets are committed when they are sent"
            )

    def _on_refused(self, refused: ReceiptRefused) -> None:
        self._n_refused += 1
        if self._n_refused <= _MAX_NAMED:
            text = f"{printable(refused.path)}: the broker refuses its receipt: {refused.reason}"
            self._log.error(text, extra=about(refused.path, cause=refused.reason))

    def _on_earlier_sent(self, sent: EarlierFilesSent) -> None:
        self._last_news = self._clock()
        self._with_earlier = not sent.is_done
        if sent.n_files:
            files = counted(sent.n_files, "file")
            self._log.info(f"receipts of {files} of earlier runs are on topic {self._topic}")

    def _on_death(self, dead: SenderProcess) -> None:
        """Start another process, and give it all that was not sent."""
        cause = self._loop.count_death(dead)
        self._log.warning(f"{dead.name} {cause}: restarting it", extra=about(cause=cause))
        self._loop.unwatch(dead)
        self._discard(dead)
        self._watch()
        for number, (_, placed) in self._owed.items():
            self.worker.channel.post([FilesPlaced(number, placed.n_files, placed.files)])

    # -- the end

    def summary(self) -> str:
        """Return how many receipts are owed."""
        return f"{counted(self._n_owed, 'receipt')} to be sent to topic {self._topic}"

    @property
    def shown_trouble(self) -> str:
        """What a display says while receipts cannot be sent, for a reason that is logged; "" while they can be."""
        n_owed = self._n_owed
        return f"{counted(n_owed, 'receipt') if n_owed else 'receipts'} cannot be sent" if self._trouble else ""

    @property
    def _n_owed(self) -> int:
        return sum(placed.n_files for _, placed in self._owed.values())

    def waits_until(self, now: float) -> float | None:
        """Return until when a run that is to end waits for the receipts of earlier files; None if it does not."""
        patient_until = self._last_news + _PATIENCE_S
        return patient_until if self._with_earlier and now < patient_until else None

    def finish(self) -> bool:
        """End the process; return whether receipts are owed still, which is logged."""
        self._loop.stop_workers([self.worker], _STOP_TIMEOUT_S)
        n_owed = self._n_owed
        because = f" ({self._trouble})" if self._trouble else ""
        if n_owed:
            receipts = counted(n_owed, "receipt")
            self._log.error(
                f"{receipts} could not be sent to topic {self._topic}{because}; the next run sends them"
            )
        if self._with_earlier:
            self._log.error(
                f"the receipts of files of earlier runs are not all on topic {self._topic}{because}; the next run "
                "sends them"
            )
        if self._n_refused:
            files = counted(self._n_refused, "file has no receipt", "files have no receipts")
            self._log.error(f"{files}: topic {self._topic} takes none that are so large")
        return bool(n_owed or self._with_earlier or self._n_refused)
