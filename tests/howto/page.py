"""The how-to pages, whose blocks are run, compiled and compared as they are written."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.helpers.shells import Terminal

Open = Callable[..., Terminal]
Run = Callable[..., "list[str]"]

HOWTO = Path(__file__).resolve().parents[2] / "docs" / "howto"
KAFKA = "localhost:9092"  # where the pages have their Kafka
GUARDED_KAFKA = "localhost:9093"  # the same with SASL and TLS

_BLOCK = re.compile(
    r"^(?P<indent> *)```(?P<language>\w+)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL
)


class Page:
    """The blocks of a page by their language, in order, with the address of the test's Kafka."""

    def __init__(self, name: str, bootstrap: str = KAFKA) -> None:
        text = (HOWTO / f"{name}.md").read_text(encoding="utf-8")
        text = text.replace(KAFKA, bootstrap).replace(GUARDED_KAFKA, bootstrap)
        self._blocks = [(each["language"], textwrap.dedent(each["text"])) for each in _BLOCK.finditer(text)]

    def blocks(self, language: str) -> list[str]:
        """Return the blocks of a language; unpack them, so that none is forgotten."""
        return [text for each, text in self._blocks if each == language]


def assert_shown(expected: str, lines: Sequence[str]) -> None:
    """Check that a program has printed the lines of a page, in this order.

    ``…`` stands for anything, and a number for any number.
    """
    rest = iter(lines)
    for line in filter(str.strip, expected.splitlines()):
        parts = (re.sub(r"\d+", r"\\d+", re.escape(part)) for part in line.strip().split("…"))
        pattern = ".*".join(parts)
        assert any(re.search(pattern, each) for each in rest), f"no line {line!r} in: {lines}"
