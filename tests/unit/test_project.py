"""Files about the project agree with the package."""

from __future__ import annotations

import re
from pathlib import Path

import dfud

ROOT = Path(__file__).resolve().parents[2]


def test_the_citation_names_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [dfud.__version__]


def test_the_changelog_names_the_version_and_those_before_it() -> None:
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    headings = re.findall(r"^## (.*)$", changelog, re.MULTILINE)
    dated = [heading for heading in headings if heading != "[Unreleased]"]
    assert all(re.fullmatch(r"\[\d+\.\d+\.\d+\] - \d{4}-\d\d-\d\d", heading) for heading in dated), dated
    assert "[Unreleased]" not in headings[1:]
    assert dated[0].startswith(f"[{dfud.__version__}]")
