"""Each directory has a group of its own, whatever group the configuration names, and whatever is copied."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import pytest

from dfud.downloading.consumer_group import GroupRecord, KnownGroups, new_group


def known(folder: Path) -> KnownGroups:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return KnownGroups(descriptor, str(folder))
    finally:
        os.close(descriptor)


def record(folder: Path, made: GroupRecord) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    KnownGroups(descriptor, str(folder)).add(made)
    os.close(descriptor)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "a folder\nof parts"
    made.mkdir()
    return made


@pytest.mark.parametrize(("requested", "prefix"), [(None, "dfud-"), ("the irs", "the irs-")])
def test_a_group_is_named_after_that_of_the_configuration(
    requested: str | None, prefix: str, folder: Path
) -> None:
    assert known(folder).own(requested) is None
    first, second = new_group(requested), new_group(requested)
    assert first != second
    assert re.fullmatch(re.escape(prefix) + "[0-9a-f]{16}", first)
    record(folder, GroupRecord(first, True, "id"))
    assert known(folder).own(requested) == GroupRecord(first, True, "id")
    assert known(folder).own("others") is None


def test_a_group_of_the_command_line_is_no_group_of_its_own(folder: Path) -> None:
    given = GroupRecord("dfud-0123456789abcdef", False, "")
    record(folder, given)
    assert known(folder).find(given.group) == given
    assert known(folder).own(None) is None


def test_the_topic_that_was_recorded_last_counts(folder: Path) -> None:
    group = new_group(None)
    for topic_id in ("first", "second", "second"):
        record(folder, GroupRecord(group, True, topic_id))
    assert known(folder).own(None) == GroupRecord(group, True, "second")
    assert (folder / "groups").read_text().count("\n") == 2


def test_a_copy_is_told_from_a_folder_that_was_moved(folder: Path, tmp_path: Path) -> None:
    record(folder, GroupRecord(new_group(None), True, ""))
    moved = tmp_path / "moved"
    folder.rename(moved)
    assert known(moved).own(None) is not None
    assert known(moved).copied_from == ""
    shutil.copytree(moved, folder)
    assert known(folder).own(None) is None
    assert known(folder).copied_from == str(folder)
    # A backup in the same place; its inode may be that of the folder that was removed.
    shutil.rmtree(moved)
    shutil.copytree(folder, moved)
    assert known(moved).own(None) is None


def test_a_link_that_is_planted_for_the_record_is_not_followed(folder: Path, tmp_path: Path) -> None:
    (folder / "groups").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="it is a link"):
        known(folder)
    assert not (tmp_path / "outside").exists()
