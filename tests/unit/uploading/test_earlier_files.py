"""The files that were there before are counted once, without those that a table has."""

from __future__ import annotations

from dfud.core.version import FileVersion
from dfud.logs.completed.recorded import RecordedVersions
from dfud.uploading.earlier_files import EarlierFiles
from dfud.uploading.ledger import Ledger

NAMES = (b"recorded", b"in progress", b"one", b"two", b"three")
VERSIONS = [FileVersion(name, 10, 1) for name in NAMES]
RECORDED, IN_PROGRESS, ONE, TWO, THREE = (version.identity() for version in VERSIONS)


def make() -> EarlierFiles:
    completed = RecordedVersions([RECORDED + bytes(16)])
    ledger = Ledger(4, 1, completed, lambda: "then")
    ledger.on_found(VERSIONS[1], compare=False)
    return EarlierFiles(completed, ledger)


def test_those_that_no_table_has_are_counted_with_the_last_ones() -> None:
    earlier = make()
    assert earlier.add(RECORDED + ONE, is_last=False) == 0
    assert earlier.add(IN_PROGRESS + TWO + THREE, is_last=True) == 3


def test_a_directory_without_files() -> None:
    assert make().add(b"", is_last=True) == 0


def test_they_are_counted_once_whoever_reports_them() -> None:
    earlier = make()
    assert earlier.add(ONE, is_last=True) == 1
    earlier.restart()
    assert earlier.add(ONE + TWO, is_last=True) == 0


def test_a_watcher_that_replaces_another_one_begins_again() -> None:
    earlier = make()
    assert earlier.add(ONE + TWO, is_last=False) == 0
    earlier.restart()
    assert earlier.add(ONE + TWO, is_last=True) == 2
