"""LOGS after a run that was refused, and the id of the topic in it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.session import Session
from dfud.logs.topic_id import read_topic_id, write_topic_id
from dfud.logs.untouched import UntouchedLogs
from dfud.uploading.preflight import make_logs


def contents(directory: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() if path.is_file() else b"" for path in directory.rglob("*")}


@pytest.mark.parametrize("before", ["nothing", "a folder", "a run"])
def test_logs_is_as_it_was(tmp_path: Path, before: str) -> None:
    directory, state = tmp_path / "data", tmp_path / "state"
    directory.mkdir()
    state.mkdir()
    place = os.fspath(directory), "topic", os.fspath(state)
    if before != "nothing":
        (state / "LOGS").mkdir()
    if before == "a run":
        folder = LogsFolder(*place)
        make_logs(folder)
        lock = DirectoryLock.take(folder, folder.lock, "uploading")
        Session(lock.fileno()).begin(77)
        folder.replace(folder.status, [b"{}"])
        lock.close()
    found = contents(tmp_path)
    untouched = UntouchedLogs(LogsFolder(*place))
    folder = LogsFolder(*place)
    make_logs(folder)
    lock = DirectoryLock.take(folder, folder.lock, "uploading")
    session = Session(lock.fileno())
    session.begin(99)
    session.add_moved_in(b"folder")
    folder.replace(folder.status, [b"of the run that is refused"])
    assert contents(tmp_path) != found
    untouched.restore(lock)
    lock.close()
    assert contents(tmp_path) == found


def test_the_id_of_the_topic(tmp_path: Path) -> None:
    folder = LogsFolder(os.fspath(tmp_path), "topic")
    make_logs(folder)
    assert read_topic_id(folder) == ""
    write_topic_id(folder, "ediF_sxBRxSkhNaCt0w1yQ")
    assert read_topic_id(folder) == "ediF_sxBRxSkhNaCt0w1yQ"
