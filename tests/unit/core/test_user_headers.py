"""Headers of a user's own: which are refused, and how long they make a message."""

from __future__ import annotations

import pytest

from dfud.core.native import header_maker
from dfud.core.user_headers import MAX_BYTES, header_bytes, parse_headers
from dfud.core.version import FileVersion


@pytest.mark.parametrize(
    ("texts", "why"),
    [
        (["sample"], "NAME=VALUE"),
        (["=1"], "NAME=VALUE"),
        (["sample="], "NAME=VALUE"),
        (["sample=a\x1b[2J"], "cannot be printed"),
        (["a\nb=c"], "cannot be printed"),
        (["sample=\udcff"], "cannot be printed"),
        (["sample=\u202etxt"], "cannot be printed"),
        (["upload_id=1"], "dfud's own"),
        (["manifest=1"], "dfud's own"),
        (["a=1", "a=2"], "twice"),
        (["a=" + "x" * MAX_BYTES], "more than 4,096"),
    ],
)
def test_what_is_refused(texts: list[str], why: str) -> None:
    with pytest.raises(ValueError, match=why) as raised:
        parse_headers(texts)
    assert str(raised.value).isprintable()


def test_no_header_of_a_chunk_can_be_replaced() -> None:
    ours = [name for name, _ in header_maker(FileVersion(b"a", 1, 0), 1)(1, b"")] + ["xxh3_128"]
    for name in ours:
        with pytest.raises(ValueError, match="dfud's own"):
            parse_headers([f"{name}=x"])


def test_what_they_are_and_how_long() -> None:
    headers = parse_headers(["proposal=2026-17", "who=Zoë"])
    assert headers == (("proposal", b"2026-17"), ("who", "Zoë".encode()))
    assert header_bytes(headers) >= len("proposal" + "2026-17" + "who") + 4 + 2 * 4
