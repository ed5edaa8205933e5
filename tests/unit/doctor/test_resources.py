"""What the doctor says of the limits of this machine."""

from __future__ import annotations

from pathlib import Path

from dfud.doctor.diagnosis import Level
from dfud.doctor.resources import available_memory, check_resources, judge_memory, need_of
from tests.helpers.doctoring import levels, options_for


def test_what_this_machine_grants(tmp_path: Path) -> None:
    diagnoses = levels(check_resources(options_for(tmp_path, queue_max_size=10)))
    assert diagnoses == {"descriptors": Level.FINE, "processes": Level.FINE, "memory": Level.FINE}
    available = available_memory()
    assert available is not None
    assert available > 0


def test_each_option_that_does_not_fit_is_named(tmp_path: Path) -> None:
    diagnoses = list(check_resources(options_for(tmp_path, "t" * 201, queue_max_size=0.06)))
    assert [each.text.split()[0] for each in diagnoses if each.level is Level.STOPS] == [
        "--topic_name",
        "--queue_max_size",
    ]
    assert "memory" not in levels(diagnoses)


def test_memory_is_compared_with_what_is_needed(tmp_path: Path) -> None:
    assert need_of(options_for(tmp_path)).memory == 2 * 80_000_000 + 6 * 15_000_000
    assert judge_memory(10, 10).level is Level.FINE
    assert judge_memory(10, None).level is Level.FINE
    low = judge_memory(250_000_000, 100_000_000)
    assert low.level is Level.WARNING
    assert low.text.startswith("up to 250.0 MB needed, 100.0 MB available: ")
