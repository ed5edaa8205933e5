"""Whose a LOGS is that lies outside of its directory."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.owner import check_owner, owner_file, record_owner


def logs(directory: Path, state: Path | None = None, topic: str = "T") -> LogsFolder:
    folder = LogsFolder(os.fspath(directory), topic, None if state is None else os.fspath(state))
    folder.make()
    return folder


@pytest.fixture
def folders(tmp_path: Path) -> tuple[Path, Path, Path]:
    for name in ("a\nb", "other", "state"):
        (tmp_path / name).mkdir()
    return tmp_path / "a\nb", tmp_path / "other", tmp_path / "state"


def test_a_state_folder_is_that_of_one_directory(folders: tuple[Path, Path, Path]) -> None:
    directory, other, state = folders
    folder = logs(directory, state)
    check_owner(folder)
    record_owner(folder)
    assert Path(owner_file(folder)).read_bytes() == os.fsencode(directory) + b"\n"
    check_owner(logs(directory, state, "another topic"))
    for else_s in (logs(other, state), logs(state)):
        with pytest.raises(
            UsageError, match=r"state/LOGS belongs to .*/a\\nb, not to .*; use another --state_dir"
        ):
            check_owner(else_s)


def test_it_is_named_once(folders: tuple[Path, Path, Path]) -> None:
    directory, _, state = folders
    folder = logs(directory, state)
    record_owner(folder)
    before = os.stat(owner_file(folder))
    record_owner(folder)
    assert os.stat(owner_file(folder)).st_ino == before.st_ino


def test_logs_in_its_directory_needs_no_name(folders: tuple[Path, Path, Path]) -> None:
    directory, _, _ = folders
    folder = logs(directory)
    check_owner(folder)
    record_owner(folder)
    assert os.listdir(folder.path) == []


def test_the_logs_of_a_directory_is_not_the_state_of_another(folders: tuple[Path, Path, Path]) -> None:
    directory, other, _ = folders
    Path(logs(directory).completed).touch()
    with pytest.raises(UsageError, match=r"LOGS belongs to .*/a\\nb, not to .*/other"):
        check_owner(logs(other, directory))
    check_owner(logs(directory, directory))
    check_owner(logs(directory, Path(f"{directory}/.")))


def test_what_has_no_name_cannot_be_told_apart_from_a_removed_one(folders: tuple[Path, Path, Path]) -> None:
    directory, _, state = folders
    with pytest.raises(FileNotFoundError):
        check_owner(LogsFolder(os.fspath(directory), "T", os.fspath(state)))
