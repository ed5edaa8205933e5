"""The table of faults in a document: what was not caused again stays in it."""

from __future__ import annotations

from pathlib import Path

from tests.faults import report

OLD = ["an old one", "3", "1,204", "5", "0", "7", "0.5 / 0.6", ""]
ODD = ["one with a | in it", "1", "2", "3", "1", "0", "-", "FAILED"]
SKIPPED = ["one that is skipped", "0", "-", "-", "-", "-", "-", "skipped: no such kernel"]


def test_the_rows_of_a_document_are_read_back(tmp_path: Path) -> None:
    document = tmp_path / "page.md"
    document.write_text(f"before\n{report.BEGIN}{report.END}after\n")
    report.write(
        document, [*report.markdown([("Section", [OLD, ODD]), ("None", []), ("Last", [SKIPPED])]), "", "text"]
    )
    rows = report.parse(report.read(document))
    assert rows == {row[0]: row for row in (OLD, ODD, SKIPPED)}
    assert report.summary(list(rows.values())) == "1 passed, 1 FAILED, 1 skipped; lost: 1"
    assert document.read_text().startswith("before\n")
    assert document.read_text().endswith("after\n")
