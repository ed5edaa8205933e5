from __future__ import annotations

import re

import pytest

from dfud.core.names import DEFAULT_UPLOAD_REGEX, name_filter


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        (b"a.bin", True),
        (b"sub/a.bin", True),
        (b".hidden", False),
        (b".folder/a", True),
        (b"a.log", False),
        (b"a.log/b", True),
        (b"a.log.txt", True),
        (b"two\nlines.log", False),
        (b"\xff", True),
        (b"LOGS/a", False),
        (b"LOGS/sub/a", False),
        (b"LOGS2/a", True),
        (b"sub/LOGS/a", True),
        (b"LOGS", True),
    ],
)
def test_what_the_default_takes(path: bytes, taken: bool) -> None:
    assert name_filter(DEFAULT_UPLOAD_REGEX)(path) is taken


def test_an_expression_is_matched_from_the_start_of_the_name_alone() -> None:
    accepts = name_filter("run")
    assert accepts(b"sub/run1.bin")
    assert not accepts(b"run/sub1.bin")
    assert not accepts(b"my run")


def test_an_expression_can_be_met_by_bytes_that_are_not_utf_8() -> None:
    assert name_filter("a\udcff")(b"a\xff")


def test_a_bad_expression_is_an_error() -> None:
    with pytest.raises(re.error):
        name_filter("(")
