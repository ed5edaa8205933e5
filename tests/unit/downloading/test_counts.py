"""What a download counts."""

from __future__ import annotations

import dataclasses

from dfud.downloading.counts import DownloadCounts

FIELDS = len(dataclasses.fields(DownloadCounts))


def test_counts_are_taken_once_and_added_up() -> None:
    counts, total = DownloadCounts(), DownloadCounts()
    counts.messages += 3
    counts.dropped += 1
    for _ in range(2):
        total.add(counts.take())
    assert total == DownloadCounts(messages=3, dropped=1)
    total.add(range(FIELDS))
    assert total.take() == (3, *range(1, FIELDS - 2), FIELDS - 1, FIELDS - 1)


def test_the_summary_leaves_out_what_did_not_happen() -> None:
    assert DownloadCounts().summary() == "0 messages read, 0.0 MB, 0 files completed"
    assert DownloadCounts(1, 1_250_000, 1).summary() == "1 message read, 1.2 MB, 1 file completed"
    assert DownloadCounts(*[1] * FIELDS).summary().split(", ")[3:] == [
        "1 chunk received twice",
        "1 chunk or file of older versions skipped",
        "1 chunk excluded by --download_regex",
        "1 message without a chunk of a file skipped",
        "1 message refused",
        "1 file with a wrong digest",
        "1 file that could not be put in place",
        "1 incomplete file given up",
        "1 file on whose name --download_regex backtracks",
    ]
    assert DownloadCounts(*[2] * FIELDS).summary().split(", ")[3:] == [
        "2 chunks received twice",
        "2 chunks or files of older versions skipped",
        "2 chunks excluded by --download_regex",
        "2 messages without a chunk of a file skipped",
        "2 messages refused",
        "2 files with a wrong digest",
        "2 files that could not be put in place",
        "2 incomplete files given up",
        "2 files on whose name --download_regex backtracks",
    ]
