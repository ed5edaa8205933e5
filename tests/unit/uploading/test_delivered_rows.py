"""Which rows of the in-progress table count no more once something else is sent."""

from __future__ import annotations

import pytest

from dfud.uploading.delivered_rows import DeliveredRows


@pytest.mark.parametrize(
    ("path", "are_void"),
    [(b"a/b", True), (b"a", True), (b"a/b/c/d", True), (b"a/bc", False), (b"b", False), (b"a/c/b", False)],
)
def test_rows_of_the_path_and_of_rivals_are_void(path: bytes, are_void: bool) -> None:
    assert DeliveredRows([b"a/b", b"e/f"]).are_void_after(path) == are_void
    assert not DeliveredRows().are_void_after(path)
