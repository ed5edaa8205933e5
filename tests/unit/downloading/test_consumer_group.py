"""Each directory receives all of the topic, whatever group the configuration names."""

from __future__ import annotations

import logging
import os
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.downloading.consumer_group import KnownGroups, choose_group
from dfud.kafka.watermarks import Partition

LOG = logging.getLogger("test_consumer_group")
UNREAD, READ = [Partition(0, 10, -1), Partition(5, 10, 5)], [Partition(0, 10, -1), Partition(5, 10, 8)]


@pytest.fixture
def dir_fd(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


def choose(dir_fd: int, requested: str | None, is_explicit: bool = False, read: bool = False) -> str:
    return choose_group(KnownGroups(dir_fd), requested, is_explicit, READ if read else UNREAD, LOG)


def test_a_group_that_has_read_nothing_is_used_and_recorded(dir_fd: int, tmp_path: Path) -> None:
    assert choose(dir_fd, "mine") == "mine"
    assert (tmp_path / "groups").read_text() == "mine\n"
    assert choose(dir_fd, "mine", read=True) == "mine"
    assert (tmp_path / "groups").read_text() == "mine\n"


@pytest.mark.parametrize(("requested", "prefix"), [(None, "dfud"), ("theirs", "theirs")])
def test_a_directory_has_one_group_of_its_own(
    dir_fd: int, tmp_path: Path, requested: str | None, prefix: str
) -> None:
    own = choose(dir_fd, requested, read=True)
    assert re.fullmatch(prefix + "-[0-9a-f]{16}", own)
    assert choose(dir_fd, requested, read=True) == own
    assert (tmp_path / "groups").read_text() == own + "\n"


def test_a_group_of_the_command_line_is_used_with_a_warning(dir_fd: int, caplog: pytest.LogCaptureFixture) -> None:
    assert choose(dir_fd, "theirs", is_explicit=True, read=True) == "theirs"
    (warning,) = caplog.messages
    assert warning.startswith("consumer group theirs has read 3 messages of the topic, not into this directory")
    assert choose(dir_fd, "theirs", is_explicit=True, read=True) == "theirs"
    assert choose(dir_fd, "fresh", is_explicit=True) == "fresh"
    assert len(caplog.messages) == 1


def test_a_link_that_is_planted_for_the_record_is_not_followed(dir_fd: int, tmp_path: Path) -> None:
    (tmp_path / "groups").symlink_to(tmp_path / "outside")
    with pytest.raises(OSError, match="it is a link"):
        choose(dir_fd, "mine")
    assert not (tmp_path / "outside").exists()
