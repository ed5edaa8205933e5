"""The index of completed files, against a dict."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
import xxhash
from hypothesis import given

from dfud.logs.completed import index as module
from dfud.logs.completed.index import CompletedIndex

KEYS = st.integers(0, 300).map(lambda number: number.to_bytes(8, "big") + bytes(8)) | st.integers(0, 300).map(
    lambda number: bytes(8) + number.to_bytes(8, "big")
)
# A digest may look like a key, and so may the end of one record with the beginning of the next.
DIGESTS = KEYS | st.binary(min_size=16, max_size=16)
ENTRIES = st.lists(st.tuples(KEYS, DIGESTS), max_size=30)
MANY = [(number.to_bytes(8, "big") + bytes(8), bytes(16)) for number in range(110)]  # of one beginning


@given(ENTRIES, ENTRIES, st.integers(1, 10), st.booleans())
def test_it_is_a_dict(
    first: list[tuple[bytes, bytes]], later: list[tuple[bytes, bytes]], merge_at: int, with_many: bool
) -> None:
    first = MANY + first if with_many else first
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(module, "_MIN_MERGED", merge_at)
        patched.setattr(module, "_MIN_PREFIXED", 100)
        index, plain = CompletedIndex(identity + digest for identity, digest in first), dict(first)
        for identity, digest in later:
            assert index.has_any([b"neither", identity]) == (identity in plain)
            index.add(identity, digest)
            plain[identity] = digest
            assert index.digest(identity) == digest
        index.put_all([identity + digest for identity, digest in reversed(first)])
        plain.update(reversed(first))
        for key in [*plain, *(bytes(8) + number.to_bytes(8, "big") for number in range(14))]:
            assert index.digest(key) == plain.get(key)
        holds = index.finder()
        known = {key + digest for key, digest in plain.items()}
        entries = [*first, *later, *reversed(first)]
        others = {key + digest for (key, _), (_, digest) in zip(entries, [*entries[1:], *entries[:1]])}
        others |= {key + digest for key, digest in entries}
        assert not any(map(holds, others - known)), "replaced, or it only looks like one"
        index.merge()
        assert not any(map(index.finder(), others - known))
        assert sum(len(part) for part in index.parts()) == 32 * len(plain)


def test_a_million_versions_take_little_more_than_their_bytes() -> None:
    count = 50_000
    index = CompletedIndex(number.to_bytes(16, "big") + bytes(16) for number in range(count))
    for number in range(count, 3 * count):
        index.add(number.to_bytes(16, "big"), bytes(16))
    assert len(index) == 3 * count
    assert len(index._sorted) >= 32 * 2 * count
    assert len(index._fresh) <= 50_000


def test_each_record_of_many_is_found_quickly() -> None:
    records = [xxhash.xxh3_128_digest(b"%d" % number) * 2 for number in range(20_000)]
    holds = CompletedIndex(records).finder()
    assert all(map(holds, records))
    assert not any(holds(record[:8] + bytes(8)) for record in records)
