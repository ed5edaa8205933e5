"""Finding where damage ends."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from dfud.kafka.damage_search import DamageSearch


@given(first=st.integers(0, 1000), damaged=st.integers(0, 3000), rest=st.integers(0, 5000))
def test_exactly_what_cannot_be_read_is_skipped(first: int, damaged: int, rest: int) -> None:
    search = DamageSearch(first, first + damaged + rest)
    probes = 0
    while not search.is_over:
        probes += 1
        if search.probe < first + damaged:
            search.on_failure(first)
        else:
            search.on_success()
    assert search.probe == first + damaged
    assert probes <= 2 * max(1, damaged).bit_length() + 2
