"""Which paths are uploaded and downloaded, and which are safe."""

from __future__ import annotations

import re

import pytest

from dfud.core.names import DEFAULT_UPLOAD_REGEX, name_filter, path_fault, path_filter


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        (b"a.bin", True),
        (b"sub/a.bin", True),
        (b".hidden", False),
        (b".folder/a", True),
        (b"a.log", False),
        (b"a.log/b", True),
        (b"a.log.txt", True),
        (b"two\nlines.log", False),
        (b"\xff", True),
        (b"LOGS/a", False),
        (b"LOGS/sub/a", False),
        (b"LOGS2/a", True),
        (b"sub/LOGS/a", True),
        (b"LOGS", True),
    ],
)
def test_what_the_default_accepts(path: bytes, taken: bool) -> None:
    assert name_filter(DEFAULT_UPLOAD_REGEX)(path) is taken


def test_an_expression_is_matched_from_the_start_of_the_name_alone() -> None:
    accepts = name_filter("run")
    assert accepts(b"sub/run1.bin")
    assert not accepts(b"run/sub1.bin")
    assert not accepts(b"my run")


def test_an_expression_can_match_bytes_that_are_not_utf_8() -> None:
    assert name_filter("a\udcff")(b"a\xff")


def test_an_invalid_expression_is_an_error() -> None:
    with pytest.raises(re.error):
        name_filter("(")


@pytest.mark.parametrize("path", [b"a", b"d/\xff", b"two\nlines"])
def test_without_an_expression_every_path_is_downloaded(path: bytes) -> None:
    assert path_filter("")(path) is True


@pytest.mark.parametrize(
    ("path", "taken"),
    [(b"run/a", True), (b"run\n/a", True), (b"run\xff/a", True), (b"run", False), (b"my/run/a", False)],
)
def test_an_expression_is_matched_from_the_start_of_the_path(path: bytes, taken: bool) -> None:
    assert path_filter("run.*/a")(path) is taken


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (b"", "it is empty"),
        (b"a\0b", "it contains a NUL"),
        (b"/a", "it is absolute"),
        (b"y/" * 2048, "it is longer than 4095 bytes"),
        (b"a//b", "it contains the name ''"),
        (b"a/.", "it contains the name '.'"),
        (b"../a", "it contains the name '..'"),
        (b"d/" + b"x" * 256, "it contains a name longer than 255 bytes"),
        (b"LOGS", "it lies in LOGS"),
        (b"LOGS/a", "it lies in LOGS"),
    ],
)
def test_a_path_that_is_not_safe_is_named_with_its_fault(path: bytes, fault: str) -> None:
    assert path_fault(path) == fault


@pytest.mark.parametrize(
    "path", [b"y/" * 2047 + b"y", b"d/" + b"x" * 255, b"a/LOGS", b"logs/a", b"a/..b", b"\xff\n"]
)
def test_a_path_may_be_long_and_odd(path: bytes) -> None:
    assert path_fault(path) == ""
