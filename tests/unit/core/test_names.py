"""Which paths are uploaded and downloaded, and which are safe."""

from __future__ import annotations

import os
import re
from collections.abc import Callable

import pytest

from dfud.core.names import DownloadFilter, UndecidedError, UploadFilter, path_fault


@pytest.mark.parametrize(
    ("path", "taken"),
    [
        (b"a.bin", True),
        (b"sub/a.bin", True),
        (b"sub/.../a", False),
        (b"a..b/c.", True),
        (b".hidden", False),
        (b"sub/.hidden", False),
        (b".snapshots/1/a", False),
        (b"run/.~tmp~/a", False),
        (b"a.log", False),
        (b"sub/.log", False),
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
    assert UploadFilter().accepts(path) is taken


@pytest.mark.parametrize(
    ("regex", "folder", "entered"),
    [
        (None, b"sub", True),
        (None, b"sub/a.log", True),
        (None, b".snapshots", False),
        (None, b"run/.~tmp~", False),
        (None, b".snapshots/1", False),
        (None, b"LOGS", False),
        ("a", b".snapshots", True),
        ("a/b", b"c", True),
        ("a", b"LOGS", False),
        ("a", b"LOGS/sub", False),
        ("a", b"LOGS2", True),
    ],
)
def test_folders_without_a_file_to_be_taken_need_not_be_scanned(
    regex: str | None, folder: bytes, entered: bool
) -> None:
    assert UploadFilter(regex).accepts_folder(folder) is entered


def test_an_expression_is_matched_from_the_start_of_the_name_alone() -> None:
    accepts = UploadFilter("run").accepts
    assert accepts(b"sub/run1.bin")
    assert not accepts(b"run/sub1.bin")
    assert not accepts(b"my run")


def test_an_expression_with_a_slash_is_matched_from_the_start_of_the_path() -> None:
    accepts = UploadFilter(r"^scan1/.*\.dat$").accepts
    assert accepts(b"scan1/a.dat")
    assert accepts(b"scan1/sub/two\nlines.dat")
    assert not accepts(b"scan1/a.txt")
    assert not accepts(b"other/scan1/a.dat")
    assert not accepts(b"a.dat")


@pytest.mark.parametrize("regex", [".*", ".*/.*", "LOGS/.*"])
def test_an_expression_takes_what_is_hidden_but_nothing_in_logs(regex: str) -> None:
    accepts = UploadFilter(regex).accepts
    assert accepts(b".hidden/.a.log") is (regex != "LOGS/.*")
    assert not accepts(b"LOGS/a")


def test_logs_is_left_wherever_it_is() -> None:
    accepted = UploadFilter(".*", b"state/LOGS")
    for path in (b"LOGS/file", b"state/LOGS/file", b"state/LOGS/folder/file"):
        assert not accepted.accepts(path)
        assert not accepted.accepts_folder(os.path.dirname(path))
    for path in (b"state/LOGS2/file", b"other/LOGS/file", b"state/file"):
        assert accepted.accepts(path)
        assert accepted.accepts_folder(os.path.dirname(path))


def test_an_expression_can_match_bytes_that_are_not_utf_8() -> None:
    assert UploadFilter("a\udcff").accepts(b"a\xff")


def test_an_invalid_expression_is_an_error() -> None:
    with pytest.raises(re.error):
        UploadFilter("(")


@pytest.mark.parametrize(
    ("regex", "n_files", "text"),
    [
        (None, 5, ""),
        ("a", 0, ""),
        (
            "a.b",
            1,
            "--upload_regex a.b matches none of the 1 file that is there: "
            "it is compared with the start of their names, as it has no / in it",
        ),
        (
            "a/b",
            1200,
            "--upload_regex a/b matches none of the 1,200 files that are there: "
            "it is compared with the start of their paths below DIR",
        ),
    ],
)
def test_an_expression_that_matches_nothing_is_worth_a_warning(regex: str | None, n_files: int, text: str) -> None:
    assert UploadFilter(regex).unmatched_warning(n_files) == text


@pytest.mark.parametrize("path", [b"a", b"d/\xff", b"two\nlines"])
def test_without_an_expression_every_path_is_downloaded(path: bytes) -> None:
    assert DownloadFilter().accepts(path) is True


@pytest.mark.parametrize(
    ("path", "taken"),
    [(b"run/a", True), (b"run\n/a", True), (b"run\xff/a", True), (b"run", False), (b"my/run/a", False)],
)
def test_an_expression_is_matched_from_the_start_of_the_path(path: bytes, taken: bool) -> None:
    assert DownloadFilter("run.*/a").accepts(path) is taken


@pytest.mark.parametrize(
    ("path", "fault"),
    [
        (b"", "it is empty"),
        (b"a\0b", "it contains a NUL"),
        (b"/a", "it is absolute"),
        (b"y/" * 32768, "it is longer than 65535 bytes"),
        (b"a//b", "it contains the name ''"),
        (b"a/.", "it contains the name '.'"),
        (b"../a", "it contains the name '..'"),
        (b"d/" + b"x" * 256, "it contains a name longer than 255 bytes"),
        (b"y/" * 2049 + b"y", "it leads through more than 2,048 folders"),
        (b"LOGS", "it lies in LOGS"),
        (b"LOGS/a", "it lies in LOGS"),
    ],
)
def test_a_path_that_is_not_safe_is_named_with_its_fault(path: bytes, fault: str) -> None:
    assert path_fault(path) == fault


@pytest.mark.parametrize(
    "path",
    [
        b"y/" * 2048 + b"y",
        (b"y" * 31 + b"/") * 2047 + b"y" * 31,
        b"d/" + b"x" * 255,
        b"a/LOGS",
        b"logs/a",
        b"a/..b",
        b"\xff\n",
    ],
)
def test_a_path_may_be_long_and_odd(path: bytes) -> None:
    assert path_fault(path) == ""


def test_a_path_that_cannot_be_decided_is_left_named_and_never_tried_again() -> None:
    tried: list[str] = []

    def compile_regex(regex: str) -> Callable[[str], bool]:
        def match(text: str) -> bool:
            tried.append(text)
            if text.startswith("a"):
                raise UndecidedError
            return True

        return match

    for path_filter in (UploadFilter("x", compile_regex=compile_regex), DownloadFilter("x", compile_regex)):
        tried.clear()
        assert [path_filter.accepts(path) for path in (b"a", b"b", b"a")] == [False, True, False]
        assert tried == ["a", "b"]
        assert path_filter.pop_undecided() == [b"a"]
        assert path_filter.pop_undecided() == []
    assert UploadFilter().pop_undecided() == DownloadFilter().pop_undecided() == []


@pytest.mark.parametrize("regex", [None, ".*", r".*/\..*"])
def test_a_file_that_is_being_released_is_not_uploaded(regex: str | None) -> None:
    accepts = UploadFilter(regex).accepts
    assert not accepts(b"folder/.dfud-releasing.0123456789abcdef")
    assert accepts(b"a.dfud-releasing.b") == (regex != r".*/\..*")
