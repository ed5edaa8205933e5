"""How long a message stays, compared with a log that deletes as Kafka does, at the first moment that it may."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dfud.lagging.retention import NEVER, PartitionView, Retention, Unread, due_offset, seconds_left

INTERVAL_S = 10.0  # between two messages
SIZE = 1000  # bytes of a message

limits = st.none() | st.integers(0, 100)


def deletion_time(n_messages: int, unread: int, per_segment: int, retention: Retention) -> float:
    """Return when message `unread` of a log goes that has `n_messages` by now and goes on growing; or `NEVER`."""
    times = [number * INTERVAL_S for number in range(n_messages)]
    first = 0
    for _ in range(170):
        now_s = times[-1]
        while len(times) - first > per_segment:
            is_old = retention.ms is not None and times[first + per_segment - 1] + retention.ms / 1000 < now_s
            rest = (len(times) - first - per_segment) * SIZE
            if not is_old and (retention.bytes is None or rest < retention.bytes):
                break
            first += per_segment
        if first > unread and len(times) >= n_messages:
            return now_s
        times.append(now_s + INTERVAL_S)
    return NEVER


@given(st.integers(1, 60), st.data(), st.integers(1, 8), limits, limits)
def test_no_message_goes_before_its_time_is_over(
    n_messages: int, data: st.DataObject, per_segment: int, messages_by_time: int | None, by_size: int | None
) -> None:
    unread = data.draw(st.integers(0, n_messages - 1))
    retention = Retention(
        None if messages_by_time is None else int(messages_by_time * INTERVAL_S * 1000),
        None if by_size is None else by_size * SIZE,
    )
    now_s = (n_messages - 1) * INTERVAL_S
    partition = PartitionView(0, n_messages, 0.0, SIZE, SIZE / INTERVAL_S)

    left = seconds_left(retention, partition, Unread(unread * INTERVAL_S, unread), now_s)

    gone_at = deletion_time(n_messages, unread, per_segment, retention)
    assert left <= gone_at - now_s
    if retention.ms is None and retention.bytes is None:
        assert left == gone_at == NEVER


@given(st.integers(0, 10**9), st.integers(0, 10**9), st.integers(0, 10**6))
def test_time_that_passes_shortens_what_is_left(ms: int, now_s: int, later_s: int) -> None:
    partition, unread = PartitionView(0, 10, 0.0, SIZE), Unread(0.0, 0)
    retention = Retention(ms)
    assert seconds_left(retention, partition, unread, now_s) == ms / 1000 - now_s
    assert seconds_left(retention, partition, unread, now_s + later_s) <= seconds_left(
        retention, partition, unread, now_s
    )


def test_a_partition_that_has_enough_already_may_delete_at_any_moment() -> None:
    full = PartitionView(100, 200, 0.0, SIZE)
    assert seconds_left(Retention(bytes=50 * SIZE), full, Unread(1e9, 150), 1e9) == 0
    assert seconds_left(Retention(bytes=50 * SIZE), full, Unread(1e9 - 10, 151), 1e9) > 0


@given(st.integers(0, 500), st.integers(0, 10**6), st.integers(0, 5000), st.integers(0, 1000))
def test_what_is_due_by_size_is_what_has_too_little_time(
    offset: int, limit: int, rate: int, within_s: int
) -> None:
    partition, retention = PartitionView(0, 500, 0.0, SIZE, rate), Retention(bytes=limit)
    left = seconds_left(
        retention, partition, Unread(-1e12, offset), 0.0
    )  # so old that only the present rate counts
    if offset < due_offset(retention, partition, within_s):
        assert left <= within_s
    elif offset > due_offset(retention, partition, within_s) + 1:
        assert left >= within_s


def test_settings_are_understood() -> None:
    assert Retention.of(None) == Retention(is_known=False)
    assert Retention.of({"cleanup.policy": "compact", "retention.ms": "5"}) == Retention(compacts=True)
    settings = {"cleanup.policy": "compact, delete", "retention.ms": "-1", "retention.bytes": "7"}
    assert Retention.of(settings) == Retention(None, 7, True)
    assert "retention.ms = 60000 (60 s)" in str(Retention(60_000))
    assert "nothing is deleted" in str(Retention())


def test_what_was_lost_shows_in_the_first_message() -> None:
    assert not PartitionView(0, 5, 100.0).has_lost(1.0)  # nothing was ever deleted: it began then
    assert PartitionView(3, 5, 100.0).has_lost(99.0)
    assert not PartitionView(3, 5, 100.0).has_lost(100.0)
    assert not PartitionView(3, 5).has_lost(1.0)  # the time is not known
    assert PartitionView(5, 5).has_lost(1e12)  # all is gone
