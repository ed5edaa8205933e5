"""Have a fault happen, and make a row of the table of it."""

from __future__ import annotations

import shutil
import tempfile
import time
import traceback
from pathlib import Path
from statistics import median
from typing import NamedTuple

from dfud.broker.node import KafkaNode
from tests.faults.scene import Fault, Scene, UnavailableError
from tests.faults.tally import Tally

COLUMNS = ("fault", "times caused", "files", "chunks", "lost", "sent twice", "seconds to recover", "")


class Row(NamedTuple):
    """What came of a fault."""

    fault: Fault
    tally: Tally
    skipped: str  # why it was not caused; or ""
    took: float  # s

    @property
    def verdict(self) -> str:
        return "skipped" if self.skipped else "passed" if self.tally.is_well else "FAILED"

    def cells(self) -> list[str]:
        """Return the row as text, one a column."""
        if self.skipped:
            return [self.fault.name, "0", *["-"] * 5, f"skipped: {self.skipped}"]
        tally = self.tally
        remark = f"injected: {self.fault.injected}" if self.fault.injected else ""
        return [
            self.fault.name,
            *(f"{number:,}" for number in (tally.times, tally.files, tally.chunks, tally.lost, tally.twice)),
            f"{median(tally.seconds):.1f} / {max(tally.seconds):.1f}" if tally.seconds else "-",
            remark if tally.is_well else f"FAILED {remark}".rstrip(),
        ]


def perform(fault: Fault, kafka: KafkaNode, work: Path, seed: int, is_quick: bool) -> Row:
    """Cause a fault as often as it is to be; whatever the code of the fault raises is a trouble of its row."""
    folder = Path(tempfile.mkdtemp(prefix="fault-", dir=work))
    tally, skipped, began = Tally(), "", time.monotonic()
    scene = Scene(kafka, folder, seed, fault.name, is_quick)
    try:
        fault.cause(scene, tally, fault.quick if is_quick else fault.times)
    except UnavailableError as why:
        skipped = str(why)
    except Exception:  # a fault that fails must not keep the others from their turn
        tally.complain(traceback.format_exc())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if not skipped:
        tally.require(tally.times > 0, "it was never caused")
    return Row(fault, tally, skipped, time.monotonic() - began)
