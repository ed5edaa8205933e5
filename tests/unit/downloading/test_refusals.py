"""What is refused is named or counted."""

from __future__ import annotations

import pytest

from dfud.downloading import refusals as module
from dfud.downloading.counts import DownloadCounts
from dfud.downloading.refusals import Refusals
from tests.helpers.downloading import native
from tests.helpers.fetching import NOW, Bench, bench

__all__ = ["bench"]


def test_the_first_refusals_are_named_and_the_rest_only_counted(bench: Bench) -> None:
    lies = [native(b"%d" % number, b"data", NOW, upload_id=b"0" * 16)[0] for number in range(150)]
    assert bench.take(*lies).refused == 150
    assert len(bench.reported) == 101
    assert "0 refused: its upload_id" in bench.reported[0]
    assert "(partition 0, offset 99)" in bench.reported[99]
    assert bench.reported[100] == "further refused messages are only counted"


def test_only_so_many_refused_versions_are_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MAX_VERSIONS", 2)
    reports: list[str] = []
    counts = DownloadCounts()
    refusals = Refusals(counts, lambda level, text, *_, **__: reports.append(text))
    for identity in (b"1", b"2", b"3"):
        refusals.refuse_version(identity, b"path\n", "reason")
        assert refusals.is_refused(identity)
    assert not refusals.is_refused(b"1")
    assert reports == ["path\\n refused: reason"] * 3
    assert counts == DownloadCounts(refused=3)
    refusals.refuse(None, "reason")
    assert reports[3:] == ["a message without a key refused: reason"]
