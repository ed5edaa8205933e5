"""The region at the bottom of a terminal, which another program's terminal in memory shows."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dfud.display.lines import Line, Piece
from dfud.display.region import Region
from dfud.display.terminal import Look, Size
from tests.helpers.screen import Screen

PLAIN = Look(has_colour=False, has_unicode=True)
COLOURED = Look(has_colour=True, has_unicode=True)


def lines(*texts: str) -> list[Line]:
    return [(Piece(text, "good"),) for text in texts]


class Shown:
    """A region on a screen."""

    def __init__(self, columns: int = 20, rows: int = 8, look: Look = COLOURED) -> None:
        self.size = Size(columns, rows)
        self.screen = Screen(columns, rows)
        self.region = Region(look)

    def draw(self, above: list[str], *texts: str) -> list[str]:
        self.screen.feed(self.region.draw(above, lines(*texts), self.size))
        return self.screen.lines

    def type(self, text: str) -> None:
        self.screen.type(text)
        self.region.on_enter(text.count("\n"))


def test_lines_scroll_above_it() -> None:
    shown = Shown(rows=5)
    assert shown.draw([], "a", "b") == ["a", "b", ""]
    assert shown.draw(["one"], "a", "c") == ["one", "a", "c", ""]
    assert shown.draw(["two", "three", "four"], "a", "d") == ["one", "two", "three", "four", "a", "d", ""]
    assert shown.draw([str(number) for number in range(20)], "e")[-5:] == ["17", "18", "19", "e", ""]
    assert shown.screen.lines.count("e") == 1


def test_what_is_typed_stays_and_scrolls_when_it_is_sent_off() -> None:
    shown = Shown()
    shown.draw([], "a")
    shown.type("che")
    assert shown.draw(["one"], "b", "c") == ["one", "b", "c", "che"]
    assert shown.draw([], "d") == ["one", "d", "che"]
    shown.type("ck\n")
    assert shown.draw(["answer"], "d") == ["one", "check", "answer", "d", ""]
    shown.type("a\nb\n")
    shown.type("q")
    assert shown.draw([], "d")[:-1] == ["one", "check", "answer", "a", "b", "d"]


def test_a_long_line_takes_several_rows_and_one_longer_than_the_screen_even_more() -> None:
    shown = Shown(columns=10, rows=6)
    shown.draw([], "a", "b")
    assert shown.draw(["x" * 25], "a", "c") == ["x" * 10, "x" * 10, "x" * 5, "a", "c", ""]
    assert shown.draw(["y" * 75], "a", "d")[-5:] == ["y" * 10, "y" * 5, "a", "d", ""]
    assert "".join(shown.screen.lines).count("y") == 75


def test_nothing_is_written_where_nothing_has_changed() -> None:
    region = Region(PLAIN)
    size = Size(40, 10)
    assert region.draw([], lines("a", "b"), size) == "a\r\nb\r\n"
    assert region.draw([], lines("a", "b"), size) == ""
    assert "a" not in region.draw([], lines("a", "c"), size).replace("\x1b[2A", "")


def test_its_end_leaves_nothing_behind() -> None:
    shown = Shown()
    shown.draw(["one"], "a", "b")
    shown.type("quit\n")
    shown.screen.feed(shown.region.end(["two"], shown.size))
    assert shown.screen.lines == ["one", "quit", "two", ""]


def test_after_a_stop_it_begins_anew_below() -> None:
    shown = Shown()
    shown.draw(["one"], "a")
    shown.screen.feed("$ fg\r\n")
    shown.region.forget()
    assert shown.draw(["two"], "b") == ["one", "a", "$ fg", "two", "b", ""]


def test_a_narrower_terminal_has_broken_its_lines() -> None:
    shown = Shown(columns=20)
    shown.draw(["one"], "a" * 18, "b")
    shown.size = Size(10, 8)
    narrow = Screen(10, 8)
    narrow.feed("one\r\n" + "a" * 18 + "\r\nb\r\n")
    shown.screen = narrow
    assert shown.draw([], "c") == ["one", "c", ""]


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_a_terminal_without_room_shows_lines_all_the_same(rows: int) -> None:
    shown = Shown(rows=rows)
    assert shown.draw(["one"], "a", "b", "c")[0] == "one"
    assert "two" in shown.draw(["two"], "a", "b", "d")


_text = st.text(st.characters(codec="utf-8", categories=["L", "M", "N", "P", "S", "Zs"]), max_size=30)
_step = st.tuples(
    st.lists(st.text("abc漢", max_size=45), max_size=12),
    st.lists(st.text("xyz界", max_size=9), max_size=5),
    st.sampled_from(["", "q", "\n", "check\n", "a\nb\n"]),
)


@given(steps=st.lists(_step, max_size=12), rows=st.integers(8, 12))
@example(steps=[([], [""] * 5, "q"), (["a" * 26 + "漢" * 7], [], "")], rows=8)
@example(steps=[([], [""], ""), (["a" * 16 + "漢漢a" + "漢" * 9], [""], "")], rows=8)
def test_no_line_is_lost_or_shown_twice(steps: list[tuple[list[str], list[str], str]], rows: int) -> None:
    shown = Shown(columns=20, rows=rows)
    expected, typed = "", ""
    for above, region, keys in steps:
        numbered = [f"{number}{text}" for number, text in enumerate(above)]
        shown.draw(numbered, *region)
        expected += "".join(numbered)
        body = shown.screen.lines
        assert body[-1 - len(region) : -1] == [text.rstrip() for text in region]
        assert "".join(body[: len(body) - 1 - len(region)]).replace(" ", "") == expected.replace(" ", "")
        shown.type(keys)
        typed = keys
        *sent, rest = typed.split("\n")
        expected += "".join(sent)
        if rest:  # so that each step begins with an empty line
            shown.type("\n")
            expected += rest
