"""What is refused is named or counted."""

from __future__ import annotations

from tests.helpers.downloading import native
from tests.helpers.fetching import NOW, Bench, bench

__all__ = ["bench"]


def test_the_first_refusals_are_named_and_the_rest_only_counted(bench: Bench) -> None:
    lies = [native(b"%d" % number, b"data", NOW, upload_id=b"0" * 16)[0] for number in range(150)]
    assert bench.take(*lies).refused == 150
    assert len(bench.reported) == 101
    assert "0 refused: its upload_id" in bench.reported[0]
    assert "(partition 0, offset 99)" in bench.reported[99]
    assert bench.reported[100] == "further refused messages are only counted"
