"""The tables that `scripts/bench --report` puts into documents."""

from __future__ import annotations

from benchmarks.answers import Answer, Bar, Bars, Table, Verdict
from benchmarks.report import fill, plain

ANSWER = {
    "title": "Speed",
    **Answer(
        Table(["", "MB/s"], [["dfud", "200"], ["C | loop", "100"]]),
        [Verdict("dfud against C loop", 2.0, 1.0, at_least=True), Verdict("memory", 400, 300, False, "MB")],
        [Bars("Speed", "MB/s", [Bar("dfud", 1, 2, 3, True)])],
        ["A note."],
    ).as_data(),
}


def test_a_table_takes_the_place_between_its_markers_and_of_nothing_else() -> None:
    text = "before\n<!-- bench: large -->\nold\n<!-- bench end -->\nafter\n"
    filled = fill(text, {"large": ANSWER}, "images")
    assert filled == (
        "before\n<!-- bench: large -->\n![Speed](images/bench-large.svg)\n\n"
        "|  | MB/s |\n| --- | --- |\n| dfud | 200 |\n| C \\| loop | 100 |\n\nA note.\n<!-- bench end -->\nafter\n"
    )
    assert fill(filled, {"large": ANSWER}, "images") == filled


def test_a_place_without_an_answer_stays_as_it_is() -> None:
    text = "<!-- bench: other -->\nold\n<!-- bench end -->\n"
    assert fill(text, {"large": ANSWER}, "images") == text


def test_a_chart_alone() -> None:
    text = "<!-- bench: large/chart -->\n<!-- bench end -->\n"
    assert fill(text, {"large": ANSWER}, "docs/images") == (
        "<!-- bench: large/chart -->\n![Speed](docs/images/bench-large.svg)\n<!-- bench end -->\n"
    )


def test_targets_tell_what_was_missed() -> None:
    filled = fill("<!-- bench: targets -->\n<!-- bench end -->\n", {"large": ANSWER}, "images")
    assert "| Speed | dfud against C loop | 2 times | at least 1 | yes |" in filled
    assert "| Speed | memory | 400 MB | at most 300 | **no** |" in filled


def test_the_console_is_told_the_same() -> None:
    lines = list(plain(ANSWER))
    assert "dfud against C loop: 2 times, target at least 1: met" in lines
    assert "memory: 400 MB, target at most 300: MISSED" in lines
