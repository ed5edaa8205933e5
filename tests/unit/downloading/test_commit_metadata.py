"""What is committed of a partition, and what another member of the group does with it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dfud.core.receiver_mark import receiver_mark
from dfud.core.sent import Sent
from dfud.downloading.commit_metadata import Progress, format_metadata, parse_metadata, progress

_MAX_METADATA_BYTES = 4_096  # Kafka's default of offset.metadata.max.bytes
_TOPIC_ID = "sLhTzZ8pQ1m0oAbCdEfGhg"

IDENTITIES = st.binary(min_size=16, max_size=16)


@st.composite
def made(draw: st.DrawFn) -> Progress:
    needed = draw(st.integers(0, 2**62))
    unfinished = draw(st.none() | st.frozensets(st.binary(min_size=8, max_size=8), min_size=1, max_size=5))
    return Progress(needed, needed + draw(st.integers(1, 2**20)), unfinished)


@given(made())
def test_it_is_read_as_it_was_written(progress: Progress) -> None:
    text = format_metadata(_TOPIC_ID, progress)
    assert parse_metadata(_TOPIC_ID, progress.needed, text) == progress
    assert parse_metadata(_TOPIC_ID, progress.needed, text + receiver_mark("archive")) == progress


@given(st.text())
def test_whatever_another_program_wrote_is_no_more_than_the_offset(text: str) -> None:
    assert parse_metadata(_TOPIC_ID, 7, text) is None
    parsed = parse_metadata(_TOPIC_ID, 7, f"{_TOPIC_ID} {text}")
    assert parsed is not None
    assert parsed.needed == 7
    assert parsed.position >= 7


def test_the_longest_text_is_one_that_kafka_accepts() -> None:
    incomplete = [(number.to_bytes(16, "little"), Sent("", 0, number, 0)) for number in range(300)]
    longest = progress({0: 2**62}, incomplete)[0]
    assert longest.unfinished is not None
    assert len(format_metadata(_TOPIC_ID, longest) + receiver_mark("archive")) <= _MAX_METADATA_BYTES
    more = progress({0: 2**62}, [*incomplete, (b"x" * 16, Sent("", 0, 0, 0))])[0]
    assert more.unfinished is None


@given(IDENTITIES, IDENTITIES, st.integers(0, 99))
def test_only_unfinished_files_are_taken_again(unfinished: bytes, finished: bytes, offset: int) -> None:
    committed = progress({3: 100}, [(unfinished, Sent("", 3, 10, 0)), (finished, Sent("", 2, 5, 0))])[3]
    assert committed.needed == 10
    assert committed.needs(offset, unfinished)
    assert committed.needs(offset, finished) == (finished[:8] == unfinished[:8])
    assert committed.needs(100, finished)


def test_a_member_that_has_not_caught_up_commits_what_others_had_completed() -> None:
    start = Progress(10, 100, frozenset({b"version1"}))
    again = progress({0: 40}, [(b"version2" * 2, Sent("", 0, 12, 0))], {0: start})[0]
    assert again == Progress(12, 100, frozenset({b"version1", b"version2"}))
    assert progress({0: 120}, [], {0: start})[0] == Progress(120, 120)
