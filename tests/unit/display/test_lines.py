"""How an activity is painted, whatever the files are called."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from dfud.display.activity import Activity, Fact, Transfer
from dfud.display.lines import ansi, end_fitted, fitted, paint, width_of
from dfud.display.terminal import Look

COLOURED, PLAIN, ASCII = Look(True, True), Look(False, True), Look(False, False)
ACTIVITY = Activity(
    (Fact("61.8 MB/s"), Fact("11 s left"), Fact("3,000 files done"), Fact("2 failed", "bad"), Fact("broker slow")),
    0.35,
    "373.8 MB of 1.1 GB",
    (Transfer("scans/run42/image_0001.tif", 500, 1000), Transfer("b", 0, 0)),
    7,
)


def text(columns: int, look: Look = PLAIN) -> list[str]:
    return ["".join(text for text, _ in line) for line in paint(ACTIVITY, columns, look)]


def test_at_40_columns() -> None:
    assert text(40) == [
        "━━━━─────────  35 %  373.8 MB of 1.1 GB",
        "61.8 MB/s  11 s left  3,000 files done",
        "2 failed  broker slow",
        "  …2/image_0001.tif   50 % of    1.0 kB",
        "  b                  100 % of   0 bytes",
        "  and 7 more on the way",
    ]


def test_at_80_columns_without_unicode() -> None:
    assert text(80, ASCII) == [
        "#################---------------------------------  35 %  373.8 MB of 1.1 GB",
        "61.8 MB/s  11 s left  3,000 files done  2 failed  broker slow",
        "  scans/run42/image_0001.tif" + " " * 22 + "   50 % of    1.0 kB",
        "  b" + " " * 47 + "  100 % of   0 bytes",
        "  and 7 more on the way",
    ]


def test_colours_are_left_out_where_nobody_wants_them() -> None:
    (line,) = paint(Activity((Fact("2 failed", "bad"),)), 80, PLAIN)
    assert ansi(line, PLAIN) == "2 failed"
    assert ansi(line, COLOURED) == "\x1b[1;31m2 failed\x1b[0m"


_names = st.text(
    st.one_of(
        st.characters(),
        st.sampled_from("漢字ｱ界e\u0301\u0300\u200d\ufe0f\u202e\x1b[2J\x9b\r\n\t\udcff👩\U0001f469\u0e33\u0604"),
    ),
    max_size=255,
)


@given(
    names=st.lists(_names, max_size=5),
    facts=st.lists(_names, max_size=6),
    share=st.one_of(st.none(), st.floats(-1, 2)),
    columns=st.sampled_from([1, 2, 5, 40, 80, 200]),
    look=st.sampled_from([COLOURED, PLAIN, ASCII]),
)
def test_no_name_breaks_a_line_or_reaches_the_terminal_as_it_is(
    names: list[str], facts: list[str], share: float | None, columns: int, look: Look
) -> None:
    activity = Activity(
        tuple(map(Fact, facts)), share, "1 of 2", tuple(Transfer(name, 5, 7) for name in names), len(names)
    )
    lines = paint(activity, columns, look)
    assert len(lines) <= 1 + 4 + 3 + 1
    for line in lines:
        shown = "".join(text for text, _ in line)
        assert shown.isprintable(), "a terminal does what it is told"
        assert look.has_unicode or shown.isascii()
        assert width_of(line) < max(2, columns)
        shown.encode()


@given(name=_names, width=st.integers(1, 200))
def test_what_is_cut_off_leaves_room_for_nothing_more(name: str, width: int) -> None:
    for fit in fitted, end_fitted:
        shown = fit(name, width, PLAIN)
        assert cell_len(shown) <= width
        if "…" in shown and "…" not in name:
            assert cell_len(shown) >= width - 2 or any(cell_len(character) != 1 for character in name)


@pytest.mark.parametrize(("width", "shown"), [(20, "scans/2024/image.tif"), (12, "…4/image.tif"), (1, "…")])
def test_the_end_of_a_path_says_more(width: int, shown: str) -> None:
    assert end_fitted("scans/2024/image.tif", width, PLAIN) == shown
