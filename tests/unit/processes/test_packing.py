"""Encoding messages: any text can be sent, even what MessagePack has no form for."""

from __future__ import annotations

import pytest

from dfud.core.version import FileVersion
from dfud.messages import FileChanged, FileUnreadable, Notice
from dfud.processes import links
from dfud.processes.packing import pack


@pytest.mark.parametrize("text", ["", "größer", "\0", "𝄞", "x" * 100_000])
def test_text_arrives_as_it_is(text: str) -> None:
    assert links.CHUNKER.decode_up(pack([Notice(20, text)])) == [Notice(20, text)]


def test_lone_surrogates_are_escaped_and_everything_else_is_unchanged() -> None:
    """As in a message about a file whose name is not UTF-8."""
    unreadable = FileUnreadable(1, True, "gone")
    changed = FileChanged(2, FileVersion(b"\xff", 3, 4), False)
    batch = [unreadable, Notice(40, "größer: a\udcff\udc80b"), changed, Notice(20, "\ud800")]
    assert links.CHUNKER.decode_up(pack(batch)) == [
        unreadable,
        Notice(40, "größer: a\\udcff\\udc80b"),
        changed,
        Notice(20, "\\ud800"),
    ]
