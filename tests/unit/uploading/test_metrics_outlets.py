"""What the user asks for is made, and refused before anything is written."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.errors import LockedError, UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.logfile import LogOptions
from dfud.uploading.metrics_outlets import metrics_outlets
from dfud.uploading.options import UploadOptions
from tests.helpers.folders import take_lock


@pytest.fixture
def used_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as other:
        yield other.getsockname()[1]


def options(directory: Path, metrics_port: tuple[str, int]) -> UploadOptions:
    return UploadOptions(
        os.fspath(directory), "T", False, 1, None, 4, 1.0, -1, False, False, 0, False, LogOptions(20, 20),
        metrics_port=metrics_port,
    )  # fmt: skip


def test_a_port_that_another_program_has_is_refused_and_nothing_is_written(tmp_path: Path, used_port: int) -> None:
    with pytest.raises(UsageError, match="Address already in use"):
        metrics_outlets(options(tmp_path, ("127.0.0.1", used_port)), LogsFolder(str(tmp_path), "T"))
    assert os.listdir(tmp_path) == []


def test_a_second_instance_is_told_that_it_is_one_not_that_its_port_is_in_use(
    tmp_path: Path, used_port: int
) -> None:
    folder = LogsFolder(str(tmp_path), "T")
    folder.make()
    lock = take_lock(folder.lock)
    with pytest.raises(LockedError, match="another dfud is already uploading"):
        metrics_outlets(options(tmp_path, ("127.0.0.1", used_port)), folder)
    lock.close()
