"""What a checkpoint has to put on disk."""

from __future__ import annotations

from tests.helpers.downloading import native
from tests.helpers.fetching import DATA, NOW, Bench, F, bench, identity, pair

__all__ = ["bench", "pair"]


def test_a_snapshot_has_what_changed_since_the_last_one(bench: Bench) -> None:
    bench.take(native(b"f", DATA, NOW)[0], native(b"g", DATA, NOW)[0])
    assert len(bench.store.snapshot().metadata) == 2
    bench.take(native(b"g", DATA, NOW)[1])
    ((name, text),) = bench.store.snapshot().metadata
    assert name.identity == identity(native(b"g", DATA, NOW)[0])
    assert b'"1-2000"' in text
    assert bench.store.snapshot() == ([], [])


def test_a_snapshot_that_failed_is_in_the_next_one(pair: tuple[Bench, Bench]) -> None:
    bench, other = pair
    records = native(b"f", DATA, NOW)
    other.take(records[1])
    released = other.store.release(F)
    bench.take(records[0], native(b"other", DATA, NOW)[0])
    bench.store.release(identity(native(b"other", DATA, NOW)[0]))
    bench.assembler.merge(F, [released])
    first = bench.store.snapshot()
    bench.store.on_save_failed(first)
    second = bench.store.snapshot()
    assert sorted(second.metadata) == sorted(first.metadata)
    assert len(second.metadata) == 2
    assert [str(name) for name in second.obsolete] == [str(name) for name in first.obsolete] == [released.name]
