from __future__ import annotations

import re

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dfud.core.names import DEFAULT_UPLOAD_REGEX, name_filter, shown


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


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"plain name", "plain name"),
        ("grün".encode(), "grün"),
        (b"a\nb", "a\\nb"),
        (b"a\x1b[2J", "a\\x1b[2J"),
        (b"a\xff", "a\\xff"),
        ("\u2028".encode(), "\\u2028"),
    ],
)
def test_names_are_shown_in_one_line(path: bytes, text: str) -> None:
    assert shown(path) == text


@given(st.binary())
def test_whatever_is_shown_can_be_printed(path: bytes) -> None:
    assert shown(path).isprintable()
    shown(path).encode()
