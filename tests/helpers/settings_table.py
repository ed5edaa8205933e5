"""Write the table of docs/settings.md from that of the code: ``python -m tests.helpers.settings_table``."""

from __future__ import annotations

import re
from pathlib import Path

from dfud.kafka.known_settings import names_of
from dfud.kafka.setting_rules import RULES, Rule

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "settings.md"

_HEAD = "| setting | for | values | dfud | because it |\n|---|---|---|---|---|\n"
_WORDS = {"chunk_size": "N", "least_kbytes": "(N + 9216) / 1024", "least_bytes": "N + 1024"}
_BEGIN, _END = "<!-- settings -->\n", "<!-- settings end -->\n"


def table() -> str:
    """Return the table in Markdown."""
    return _HEAD + "".join(map(_row, RULES))


def written_table() -> str:
    """Return what stands in the document."""
    return DOCUMENT.read_text(encoding="utf-8").split(_BEGIN)[1].split(_END)[0]


def _row(rule: Rule) -> str:
    names = " ".join(f"`{name}`" for name in names_of(rule.name)) if "," not in rule.name else rule.name
    text = rule.text.format(**_WORDS).replace("|", "\\|")
    return f"| {names} | {rule.client} | {rule.values} | {rule.effect.value} | {text} |\n"


if __name__ == "__main__":
    text = DOCUMENT.read_text(encoding="utf-8")
    block = re.compile(re.escape(_BEGIN) + ".*" + re.escape(_END), re.DOTALL)
    DOCUMENT.write_text(block.sub(lambda _: _BEGIN + table() + _END, text), encoding="utf-8")
