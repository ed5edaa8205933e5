"""Files that are found together become what they would be one by one, as soon as anything happens to one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_type_hints

import pytest

from dfud.core.ranges import RangeSet
from dfud.core.tables import in_progress_row
from dfud.core.version import FileStamp, FileVersion
from dfud.messages import FileTask
from dfud.uploading.cohorts import each_task
from dfud.uploading.entry import SMALL_FILE_BYTES, Entry
from dfud.uploading.ledger import Ledger
from tests.helpers.recorded import digest_of, record, recorded_versions
from tests.unit.uploading.test_protocol import check_books

FILES = [FileVersion(b"run/folder/%d" % number, number, 1) for number in range(5)]
STAMPS = [FileStamp(7, number) for number in range(5)]
OTHER = FileVersion(FILES[2].path, 9, 2)
ABOVE = FileVersion(b"run/folder", 3, 2)
BELOW = FileVersion(FILES[2].path + b"/below", 3, 2)
NOW = 100.0


def make(known: dict[FileVersion, bytes] | None = None) -> Ledger:
    return Ledger(4, 2, recorded_versions(known), lambda: "then")


def find(ledger: Ledger, together: bool) -> None:
    if together:
        assert ledger.on_found_together(FILES, STAMPS) is not None
    else:
        for version, stamp in zip(FILES, STAMPS):
            assert ledger.on_found(version, True, stamp) is not None


def dispatch(ledger: Ledger) -> list[FileTask]:
    tasks = [task for _, task in ledger.dispatch()]
    return tasks + [task for _, files in ledger.dispatch_together() for task in each_task(files)]


def state_of(ledger: Ledger) -> list[dict[str, Any]]:
    """All that is known of the files, in the order of their tokens."""
    check_books(ledger, 2)
    return [all_of(entry) for entry in sorted(ledger._entries.pictures(), key=lambda entry: entry.token)]


def all_of(entry: Entry) -> dict[str, Any]:
    """The attributes of an entry, those with the values of the class, too."""
    names = vars(entry).keys() | get_type_hints(Entry).keys()
    return {name: getattr(entry, name) for name in names}


def test_files_go_their_way_together() -> None:
    ledger = make()
    cohort = ledger.on_found_together(FILES, STAMPS)
    assert cohort is not None
    rows = [in_progress_row(version, 4, RangeSet(), "then", stamp) for version, stamp in zip(FILES, STAMPS)]
    assert ledger.rows() == rows
    assert (ledger.open_files, ledger.progress().files, ledger.n_active) == (5, 5, 0)
    assert {each.path for each in FILES} == {entry.version.path for entry in ledger.in_progress()}
    tasks = dispatch(ledger)
    assert [task.version for task in tasks] == FILES
    assert tasks[4] == FileTask(cohort.first + 4, FILES[4], 4, ((1, 1),), "then", "", STAMPS[4])
    for token in (1, 2, 2):
        ledger.mark_read(token)
    state_of(ledger)
    assert (ledger.n_active, len(list(ledger.active()))) == (5, 5)
    assert ledger.has_open_below(b"run")
    assert ledger.identities() == {version.identity() for version in FILES}
    ledger.on_completed_together(cohort, [1, 3])
    assert ledger.rows() == [rows[1], rows[3], rows[4]]
    assert ledger.cohort(1) is None
    assert ledger.cohort(2) is cohort
    state_of(ledger)
    ledger.on_completed_together(cohort, [2, 4, 5])
    ledger.mark_read(5)  # the chunker's report may come after the producer's
    assert (ledger.open_files, ledger.rows(), ledger.has_open_below(b"run")) == (0, [], False)
    state_of(ledger)


def test_what_comes_together_is_told_apart_by_cohorts() -> None:
    ledger = make()
    ledger.on_found(OTHER._replace(path=b"single"), True)
    cohort = ledger.on_found_together(FILES, STAMPS)
    assert len(dispatch(ledger)) == 6
    ledger.mark_all_read([2, 1, 3, 4])
    ledger.mark_all_read([4, 5, 4711])
    check_books(ledger, 2)
    assert cohort is not None
    assert cohort.read == {2, 3, 4, 5}
    digests = {1: "one", 2: "two", 3: "three", 4711: "unknown", 4: "four"}
    groups = ledger.by_cohort(digests)
    assert next(groups) == (None, {1: "one"})
    assert next(groups) == (cohort, {2: "two", 3: "three"})
    assert next(groups) == (None, {4711: "unknown"})
    ledger.entry(4)  # which makes entries of the cohort
    assert next(groups) == (None, {4: "four"})
    state_of(ledger)


def test_a_cohort_waits_for_a_lane_with_room() -> None:
    ledger = make()
    for folder in range(3):
        versions = [FileVersion(b"%d/%d" % (folder, number), 1, 1) for number in range(1200)]
        assert ledger.on_found_together(versions, [FileStamp(1, 1)] * 1200) is not None
    assert len(dispatch(ledger)) == 2400  # more than either lane may have unread
    assert dispatch(ledger) == []
    for token in range(1, 1201):
        ledger.mark_read(token)
    assert len(dispatch(ledger)) == 1200
    check_books(ledger, 2)


# What else is known, of which `on_found` has to decide for each file.
CONCERNS: dict[str, Callable[[Ledger], object]] = {
    "one is known already": lambda ledger: ledger.on_found(FILES[2], True),
    "another version is known": lambda ledger: ledger.on_found(OTHER, True),
    "they are in a cohort": lambda ledger: ledger.on_found_together(FILES, STAMPS),
    "one is to be a folder": lambda ledger: ledger.on_found(BELOW, True),
    "the folder is to be a file": lambda ledger: ledger.on_found(ABOVE, True),
    "a folder above is to be a file": lambda ledger: ledger.on_found(FileVersion(b"run", 1, 1), True),
    "one is recorded": lambda ledger: record(ledger.recorded, FILES[2]),
    "another version is recorded": lambda ledger: record(ledger.recorded, OTHER),
    "one is recorded as a folder": lambda ledger: record(ledger.recorded, BELOW),
    "the folder is recorded as a file": lambda ledger: record(ledger.recorded, ABOVE),
    "one has failed before": lambda ledger: ledger.keep_failed(
        in_progress_row(OTHER, 4, RangeSet([(1, 1)]), "before"), "gone"
    ),
    "one has failed as a folder": lambda ledger: ledger.keep_failed(
        in_progress_row(BELOW, 4, RangeSet(), "before"), "gone"
    ),
    "the table says that another version was sent in part": lambda ledger: ledger.on_written(
        [in_progress_row(OTHER, 4, RangeSet([(1, 1)]), "before")]
    ),
}


@pytest.mark.parametrize("concern", CONCERNS.values(), ids=CONCERNS)
def test_files_that_anything_else_concerns_are_decided_one_by_one(concern: Callable[[Ledger], object]) -> None:
    ledger = make()
    concern(ledger)
    before = state_of(ledger)
    assert ledger.on_found_together(FILES, STAMPS) is None
    assert state_of(ledger) == before


def test_files_that_are_not_small_or_named_twice_are_decided_one_by_one() -> None:
    ledger = make()
    large = [*FILES[:4], FileVersion(b"run/folder/large", SMALL_FILE_BYTES + 1, 1)]
    assert ledger.on_found_together(large, STAMPS) is None
    assert ledger.on_found_together([*FILES[:4], FILES[0]], STAMPS) is None
    assert not ledger.open_files


def test_what_lies_elsewhere_concerns_no_cohort() -> None:
    ledger = make({FileVersion(b"run/folder2/0", 1, 1): bytes(16), FileVersion(b"run/folder/5", 1, 1): bytes(16)})
    ledger.on_found(FileVersion(b"run/folder/6", 1, 1), True)
    assert ledger.on_found_together(FILES, STAMPS) is not None


# What happens to the third file, or to all; `at` is when.
HAPPENS: dict[str, Callable[[Ledger], object]] = {
    "it is found again": lambda ledger: ledger.on_found(FILES[2], True, STAMPS[2]),
    "it is found again, rewritten": lambda ledger: ledger.on_found(FILES[2], False, FileStamp(8, 2)),
    "another version is found": lambda ledger: ledger.on_found(OTHER, True, FileStamp(8, 2)),
    "it has become a folder": lambda ledger: ledger.on_found(BELOW, True),
    "the folder has become a file": lambda ledger: ledger.on_found(ABOVE, True),
    "it is read": lambda ledger: ledger.mark_read(3),
    "it has changed": lambda ledger: ledger.on_changed(3, OTHER, False, NOW, FileStamp(8, 2)),
    "it is being written": lambda ledger: ledger.on_changed(3, OTHER, True, NOW),
    "it is gone": lambda ledger: ledger.on_read_error(3, True, "gone", NOW),
    "it cannot be read": lambda ledger: ledger.on_read_error(3, False, "input/output error", NOW),
    "it is leased": lambda ledger: ledger.on_read_error(3, False, "leased", NOW, 45.0),
    "a chunk is acknowledged": lambda ledger: ledger.on_acked(3, ((1, 1),)),
    "it is refused": lambda ledger: ledger.on_undelivered(3, "too large"),
    "it is too large in one piece": lambda ledger: ledger.send_smaller(3),
    "its topic is gone": lambda ledger: ledger.void_acked(),
    "its chunker dies": lambda ledger: ledger.on_lane_death(0, producer=False),
    "its producer dies": lambda ledger: ledger.on_lane_death(0, producer=True),
    "another lane dies": lambda ledger: ledger.on_lane_death(1, producer=True),
    "nothing can be delivered": lambda ledger: ledger.give_up("the broker is away"),
    "it is looked up": lambda ledger: ledger.entry(3),
    "it is to be sent again": lambda ledger: ledger.send_again(FILES[2], STAMPS[2]),
    "a scan asks for it": lambda ledger: ledger.unrecorded(FILES[2].identity(), b""),
    "a scan asks what is below it": lambda ledger: ledger.unrecorded(BELOW.identity(), FILES[2].identity()[:8]),
}
ONLY_WITH_LANE = {"it is read", "it has changed", "it is being written", "a chunk is acknowledged"}


@pytest.mark.parametrize("what", HAPPENS)
@pytest.mark.parametrize("stage", ["waiting", "dispatched", "read", "completed in part"])
def test_whatever_happens_it_is_as_if_the_files_had_been_found_one_by_one(what: str, stage: str) -> None:
    if stage == "waiting" and what in ONLY_WITH_LANE:
        pytest.skip("a lane has to have it")
    results = []
    for together in (True, False):
        ledger = make()
        find(ledger, together)
        if stage != "waiting":
            dispatch(ledger)
        if stage in ("read", "completed in part"):
            for token in (1, 2, 3, 4):
                ledger.mark_read(token)
        if stage == "completed in part":
            cohort = ledger.cohort(1)
            if cohort is not None:
                ledger.on_completed_together(cohort, [1, 5])
            else:
                ledger.on_completed(1)
                ledger.on_completed(5)
        result = HAPPENS[what](ledger)
        if isinstance(result, Entry):
            result = all_of(result)
        elif isinstance(result, list):
            result = [all_of(each) if isinstance(each, Entry) else each for each in result]
        after = state_of(ledger)
        ledger.resume_paused(NOW + 50)
        tasks = sorted(dispatch(ledger), key=lambda task: task.token)
        results.append((result, after, tasks, state_of(ledger), ledger.rows(), ledger.changed))
    assert results[0] == results[1]


def test_versions_that_are_recorded_together_are_recorded() -> None:
    earlier = {FileVersion(b"run", 1, 1): bytes(16), FileVersion(b"else/where", 1, 1): bytes(16)}
    one_by_one, together = recorded_versions(earlier), recorded_versions(earlier)
    for version in FILES:
        record(one_by_one, version, b"\1" * 16)
    together.add_together(
        [version.path for version in FILES], [version.identity() + b"\1" * 16 for version in FILES]
    )
    for recorded in (one_by_one, together):
        assert [digest_of(recorded, version) for version in FILES] == [b"\1" * 16] * 5
        assert digest_of(recorded, FileVersion(b"run", 1, 1)) is None  # which has become a folder
        assert digest_of(recorded, FileVersion(b"else/where", 1, 1)) == bytes(16)
        assert recorded.is_replaced_by(ABOVE, ABOVE.identity())
    assert together.saved() == one_by_one.saved()
