"""Text for people: one printable line for any path, and numbers that agree with their nouns."""

from __future__ import annotations

import hypothesis.strategies as st
import pytest
from hypothesis import given

from dfud.core.text import LAYOUT, counted, escaped, printable


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (b"plain name", "plain name"),
        ("grün".encode(), "grün"),
        (b"a\nb", "a\\nb"),
        (b"a\\'\n", "a\\'\\n"),
        (b"a\x1b[2J", "a\\x1b[2J"),
        (b"a\xff", "a\\xff"),
        ("\u2028".encode(), "\\u2028"),
    ],
)
def test_a_path_is_one_line(path: bytes, text: str) -> None:
    assert printable(path) == text


@given(st.binary())
def test_any_path_is_printable(path: bytes) -> None:
    assert printable(path).isprintable()
    printable(path).encode()


@given(st.text())
def test_any_text_is_printable_but_for_its_layout(text: str) -> None:
    assert escaped(text).isprintable()
    shown = escaped(text, LAYOUT)
    assert shown.replace("\n", "").replace("\t", "").isprintable()
    assert shown.count("\n") == text.count("\n")
    shown.encode()


@pytest.mark.parametrize(
    ("number", "text"), [(0, "0 entries"), (1, "1 entry"), (2, "2 entries"), (1_000_000, "1,000,000 entries")]
)
def test_a_number_agrees_with_its_noun(number: int, text: str) -> None:
    assert counted(number, "entry", "entries") == text


def test_most_plurals_end_in_s() -> None:
    assert [counted(number, "file") for number in (1, 2)] == ["1 file", "2 files"]
