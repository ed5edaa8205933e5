"""What was recorded last of each path, against a list of all rows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dfud.core.version import FileVersion, folders_above, path_key
from dfud.logs.completed import index as module
from dfud.logs.completed.recorded import RecordedVersions
from tests.helpers.recorded import are_rivals, digest_of, is_last, record

PATHS = (b"a", b"x", b"x/y", b"x/y/z", b"x/w", b"other/y")
VERSIONS = st.builds(FileVersion, st.sampled_from(PATHS), st.integers(0, 2), st.just(7))


def loaded(rows: list[FileVersion]) -> RecordedVersions:
    keys = {path_key(folder) for row in rows for folder in folders_above(row.path)}
    recorded = RecordedVersions((row.identity() + bytes(16) for row in rows), keys)
    ambiguous = recorded.ambiguous()
    recorded.settle(ambiguous, (row.path for row in rows))
    return recorded


def every_version() -> Iterator[FileVersion]:
    return (FileVersion(path, size, 7) for path in PATHS for size in range(3))


@given(st.lists(VERSIONS, max_size=12), st.lists(VERSIONS, max_size=12), st.integers(1, 10))
def test_a_version_is_recorded_if_nothing_replaced_it(
    first: list[FileVersion], later: list[FileVersion], merge_at: int
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_MIN_MERGED", merge_at)
        recorded, rows = loaded(first), list(first)
        for row in [None, *later]:
            if row is not None:
                replaces = any(is_last(rows, each) and are_rivals(each.path, row.path) and each != row
                               for each in every_version())  # fmt: skip
                assert recorded.is_replaced_by(row, row.identity()) >= replaces
                record(recorded, row)
                rows.append(row)
            for version in every_version():
                expected = is_last(rows, version)
                assert (digest_of(recorded, version) is not None) == expected, version
                folders = b"".join(map(path_key, folders_above(version.path)))
                is_asked = list(recorded.unrecorded(version.identity(), folders, ())) == [0]
                assert is_asked or expected, version


def test_all_that_is_recorded_needs_no_look() -> None:
    rows = [FileVersion(b"x/%d" % number, 1, 1) for number in range(10)]
    recorded = loaded(rows)
    identities = b"".join(row.identity() for row in rows)
    assert list(recorded.unrecorded(identities, path_key(b"x"), ())) == []
    assert list(recorded.unrecorded(identities, path_key(b"x"), {path_key(b"x/3")})) == [3]


def test_what_may_have_been_sent_is_not_trusted() -> None:
    recorded = loaded([FileVersion(b"a", 1, 1), FileVersion(b"x/y", 1, 1), FileVersion(b"f", 1, 1)])
    for unfinished in (FileVersion(b"a", 1, 1), FileVersion(b"x", 1, 1), FileVersion(b"f/g", 1, 1)):
        recorded.distrust(unfinished, "2026-01-01T00:00:00+00:00")
    assert digest_of(recorded, FileVersion(b"a", 1, 1)) is not None, "it is the same version"
    assert digest_of(recorded, FileVersion(b"x/y", 1, 1)) is None
    assert digest_of(recorded, FileVersion(b"f", 1, 1)) is None


def time_of(row: int) -> str:
    return f"2026-01-01T00:00:00.{row:06}+00:00"


@given(st.lists(st.tuples(VERSIONS, st.booleans()), max_size=14))
def test_an_unproven_version_replaces_what_was_recorded_before_it_in_this_run_and_the_next(
    history: list[tuple[FileVersion, bool]],
) -> None:
    """Each version is recorded, or only perhaps on the topic; the next run knows no more than it has to."""
    recorded = RecordedVersions()
    rows = [(version.path, time_of(number).encode()) for number, (version, proven) in enumerate(history) if proven]
    for number, (version, proven) in enumerate(history):
        if proven:
            record(recorded, version)
        else:
            recorded.distrust(version, time_of(number))
    again = loaded([version for version, proven in history if proven])
    again.distrust_again(recorded.unproven(), rows)
    for version in every_version():
        proven_rows = [each for each, proven in history if proven]
        last = max((number for number, each in enumerate(history) if each == (version, True)), default=-1)
        replaced = any(
            are_rivals(each.path, version.path) and each != version
            for each, proven in history[last + 1 :]
            if not proven
        )
        expected = is_last(proven_rows, version) and not replaced
        for index in (recorded, again):
            assert (digest_of(index, version) is not None) <= expected, "it may not be the last on the topic"
        if not any(are_rivals(each.path, version.path) and each.path != version.path for each, _ in history):
            assert (digest_of(again, version) is not None) == expected, "it would be sent twice"


IDENTITIES = st.lists(st.binary(min_size=16, max_size=16), max_size=60)


@pytest.mark.parametrize("n_sorted", [0, 1, 40, 5_000])
@given(st.data())
def test_what_is_unknown_is_counted(n_sorted: int, data: Any) -> None:
    """With few questions for a large index, and with many."""
    known = [number.to_bytes(2, "big") * 8 for number in range(0, n_sorted * 13, 13)]
    recorded = RecordedVersions(identity + bytes(16) for identity in known)
    fresh, others = data.draw(IDENTITIES), data.draw(IDENTITIES)
    for identity in fresh:
        recorded.add(b"path", identity, bytes(16))
    last = {identity[:8]: identity for identity in [*known, *fresh]}
    sources = st.sampled_from([*known, *fresh, *others] or [bytes(16)])
    asked = data.draw(st.lists(st.one_of(sources, st.binary(min_size=16, max_size=16)), max_size=400))
    expected = sum(identity not in {*last.values(), *others} for identity in asked)
    assert recorded.count_unknown(b"".join(asked), set(others)) == expected
