"""Files about the project agree with the package."""

from __future__ import annotations

import re
from pathlib import Path

import dfud

ROOT = Path(__file__).resolve().parents[2]


def test_the_citation_names_the_version() -> None:
    citation = (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert re.findall(r"^version: (.*)$", citation, re.MULTILINE) == [dfud.__version__]
