"""The tables that `scripts/bench --report` writes into the documents."""

from __future__ import annotations

from benchmarks.benchmark import Bar, Bars, Result, Table, Verdict
from benchmarks.report import fill, plain

RESULT = {
    "title": "Speed",
    **Result(
        Table(["", "MB/s"], [["dfud", "200"], ["C | loop", "100"]]),
        [Verdict("dfud vs. C loop", 2.0, 1.0, at_least=True), Verdict("memory", 400, 300, False, "MB")],
        [Bars("Speed", "MB/s", [Bar("dfud", 1, 2, 3, True)])],
        ["A note."],
    ).as_data(),
}


def test_a_table_replaces_what_is_between_its_markers_and_nothing_else() -> None:
    text = "before\n<!-- bench: large -->\nold\n<!-- bench end -->\nafter\n"
    filled = fill(text, {"large": RESULT}, "images")
    assert filled == (
        "before\n<!-- bench: large -->\n![Speed](images/bench-large.svg)\n\n"
        "|  | MB/s |\n| --- | --- |\n| dfud | 200 |\n| C \\| loop | 100 |\n\nA note.\n<!-- bench end -->\nafter\n"
    )
    assert fill(filled, {"large": RESULT}, "images") == filled


def test_a_block_without_a_result_stays_as_it_is() -> None:
    text = "<!-- bench: other -->\nold\n<!-- bench end -->\n"
    assert fill(text, {"large": RESULT}, "images") == text


def test_a_chart_alone() -> None:
    text = "<!-- bench: large/chart -->\n<!-- bench end -->\n"
    assert fill(text, {"large": RESULT}, "docs/images") == (
        "<!-- bench: large/chart -->\n![Speed](docs/images/bench-large.svg)\n<!-- bench end -->\n"
    )


def test_the_table_of_targets_marks_what_was_missed() -> None:
    filled = fill("<!-- bench: targets -->\n<!-- bench end -->\n", {"large": RESULT}, "images")
    assert "| Speed | dfud vs. C loop | 2 times | at least 1 | yes |" in filled
    assert "| Speed | memory | 400 MB | at most 300 | **no** |" in filled


def test_the_console_shows_the_same() -> None:
    lines = list(plain(RESULT))
    assert "dfud vs. C loop: 2 times, target at least 1: met" in lines
    assert "memory: 400 MB, target at most 300: MISSED" in lines
