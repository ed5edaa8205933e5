"""Cause a fault and make a row of the table."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from pathlib import Path
from statistics import median
from typing import NamedTuple

from dfud.broker.node import KafkaNode
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.unavailable import UnavailableError

COLUMNS = ("fault", "times caused", "files", "chunks", "lost", "sent twice", "seconds to recover", "")


class Row(NamedTuple):
    """The result of a fault."""

    fault: Fault
    tally: Tally
    skipped: str  # why it was not caused, or ""
    took: float  # s

    @property
    def verdict(self) -> str:
        """``skipped``, ``passed`` or ``FAILED``."""
        return "skipped" if self.skipped else "passed" if self.tally.has_passed else "FAILED"

    def cells(self) -> list[str]:
        """Return the texts of the columns."""
        if self.skipped:
            return [self.fault.name, "0", *["-"] * 5, f"skipped: {self.skipped}"]
        tally = self.tally
        remark = f"injected: {self.fault.injected}" if self.fault.injected else tally.remark
        return [
            self.fault.name,
            *(f"{number:,}" for number in (tally.times, tally.files, tally.chunks, tally.lost, tally.twice)),
            f"{median(tally.seconds):.1f} / {max(tally.seconds):.1f}" if tally.seconds else "-",
            remark if tally.has_passed else f"FAILED {remark}".rstrip(),
        ]


def perform(fault: Fault, kafka: KafkaNode, work: Path, seed: int, is_quick: bool) -> Row:
    """Cause a fault as often as it says; an exception that it raises is a failure in its row."""
    folder = Path(tempfile.mkdtemp(prefix="fault-", dir=work))
    tally, skipped, began = Tally(), "", time.monotonic()
    scene = Scene(kafka, folder, seed, fault.name, is_quick)
    try:
        fault.cause(scene, tally, fault.quick if is_quick else fault.times)
    except UnavailableError as reason:
        skipped = str(reason)
    except Exception:  # the other faults have to be caused all the same
        tally.complain(traceback.format_exc())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not skipped:
        tally.require(tally.times > 0, "it was not caused")
    return Row(fault, tally, skipped, time.monotonic() - began)
