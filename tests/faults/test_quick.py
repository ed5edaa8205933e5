"""The quick faults, a few times each; ``scripts/faults`` has all of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.faults.catalogue import all_faults
from tests.faults.performance import perform
from tests.faults.scene import Fault

QUICK = [fault for fault in all_faults() if fault.quick]
SEED = 1


@pytest.mark.parametrize("fault", QUICK, ids=lambda fault: fault.name.replace(" ", "-"))
def test_nothing_is_lost(fault: Fault, kafka: KafkaNode, tmp_path: Path) -> None:
    row = perform(fault, kafka, tmp_path, SEED, is_quick=True)
    if row.skipped:
        pytest.skip(row.skipped)
    assert row.verdict == "passed", "\n".join(row.tally.first_failures())
