"""What is written for systemd is read by it as it was meant: its rules, as its manual pages have them."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.errors import UsageError
from dfud.service.quoting import assignment, split_words, unit_word

WORDS = st.text(st.sampled_from("ab \\\"'$%`;#{}ü*"), min_size=1)


def read_split(value: str) -> list[str]:
    """Split a value as systemd does for $NAME: quotes group, a backslash makes the next character plain."""
    words, word, quote, plain = [], "", "", False
    started = False
    for character in value:
        if plain:
            word, plain = word + character, False
        elif character == "\\":
            plain = started = True
        elif character == quote:
            quote = ""
        elif quote:
            word += character
        elif character in "\"'":
            quote, started = character, True
        elif character == " ":
            words += [word] if started else []
            word, started = "", False
        else:
            word, started = word + character, True
    assert not quote
    return words + ([word] if started else [])


def read_assignment(line: str) -> str:
    """Read a line of an environment file: in double quotes, a backslash is for the four of the shell only."""
    match = re.fullmatch(r'[A-Z]+="(.*)"', line)
    assert match is not None
    assert not re.search(r'(?<!\\)(?:\\\\)*["`$]', match[1]), "ends the value, or means something"
    return re.sub(r'\\(["\\`$])', r"\1", match[1])


@given(st.lists(WORDS))
def test_options_arrive_as_they_were_given(words: list[str]) -> None:
    assert read_split(read_assignment(assignment("OPTIONS", split_words(words)))) == words


@given(WORDS)
def test_a_word_of_a_unit_is_no_specifier_and_no_variable(word: str) -> None:
    (read,) = read_split(unit_word(word))
    assert not re.search(r"(?<!%)(?:%%)*%(?!%)|(?<!\$)(?:\$\$)*\$(?!\$)", read)
    assert read.replace("%%", "%").replace("$$", "$") == word


@pytest.mark.parametrize("value", ["new\nline", "\x1b[2J", "\udcff"])
def test_what_no_environment_file_can_have_is_refused(value: str) -> None:
    with pytest.raises(UsageError, match="characters that systemd does not accept"):
        assignment("DIR", value)
