"""Which names a bag can have; the judges of others are in tests/validators."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.bagit import manifest_line, name_fault

DIGEST = "0" * 64


@given(st.binary(min_size=1))
def test_a_name_that_is_accepted_is_read_back(path: bytes) -> None:
    if not name_fault(path):
        (line,) = manifest_line(DIGEST, path).decode().splitlines()
        digest, name = line.strip().split(maxsplit=1)
        assert (digest, name.lstrip()) == (DIGEST, line[66:].lstrip())
        assert line[66:].encode().replace(b"%0A", b"\n").replace(b"%0D", b"\r") == path


@pytest.mark.parametrize(
    "path", [b"\xff", b"a%0ab", b"a%0D", b"a ", "a\u2028b".encode(), "a\x85".encode(), b"a\x0bb"]
)
def test_names_that_no_bag_can_have(path: bytes) -> None:
    assert name_fault(path)
