"""Answers as text: on the console, and between markers in the documents."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.answers import figure


def plain(answer: dict[str, Any]) -> Iterator[str]:
    """Give the lines of an answer for the console."""
    table = [answer["table"]["columns"], *answer["table"]["rows"]]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for each in answer["verdicts"]:
        yield verdict(each)
    yield from answer["notes"]


def verdict(each: dict[str, Any]) -> str:
    bound = "at least" if each["at_least"] else "at most"
    word = "met" if each["met"] else "MISSED"
    return f"{each['what']}: {figure(each['value'])} {each['unit']}, target {bound} {each['target']:g}: {word}"


def write(results: Path, say: Callable[[str], None]) -> None:
    raise NotImplementedError
