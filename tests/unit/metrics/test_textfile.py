"""The file of metrics: where it may be, and that whatever happens to it does not concern the upload."""

from __future__ import annotations

import logging
import os
import shutil
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.upload_status import UploadStatus
from dfud.metrics.textfile import MetricsFile
from tests.unit.metrics.test_families import NEW


@pytest.fixture
def logs(tmp_path: Path) -> LogsFolder:
    (tmp_path / "data").mkdir()
    return LogsFolder(str(tmp_path / "data"), "T")


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "node").mkdir()
    return tmp_path / "node" / "dfud.prom"


def never() -> UploadStatus:
    raise AssertionError("it is not due")


def test_it_is_written_every_10_s_and_at_the_end(place: Path, logs: LogsFolder) -> None:
    file = MetricsFile(str(place), logs, lambda: 100.0)
    assert file.due == 100.0
    file.turn(100.0, lambda: NEW)
    assert b'dfud_run_state{directory="' in place.read_bytes()
    assert place.stat().st_mode & 0o777 == 0o644
    file.turn(109.9, never)
    assert file.due == 110.0
    place.unlink()
    file.turn(110.0, lambda: NEW)
    assert place.exists()
    place.unlink()
    file.end(NEW)
    assert os.listdir(place.parent) == [place.name], "no temporary file is left"


def test_a_link_that_was_planted_is_replaced(place: Path, logs: LogsFolder) -> None:
    victim = place.parent / "victim"
    victim.write_bytes(b"precious")
    for plant in (os.symlink, os.link):
        plant(victim, place)
        MetricsFile(str(place), logs).end(NEW)
        assert not place.is_symlink()
        assert victim.read_bytes() == b"precious"
        assert b"dfud_run_info" in place.read_bytes()
        place.unlink()


def test_a_folder_that_goes_and_comes_back_is_named_once_each_time(
    place: Path, logs: LogsFolder, caplog: pytest.LogCaptureFixture
) -> None:
    file = MetricsFile(str(place), logs)
    file.log = logging.getLogger("test")
    shutil.rmtree(place.parent)
    file.end(NEW)
    file.end(NEW)
    place.parent.mkdir()
    file.end(NEW)
    file.end(NEW)
    assert caplog.messages == [
        f"cannot write {place}: No such file or directory; retrying; uploading continues",
        f"writing {place} works again",
    ]


def test_logs_may_have_it_and_need_not_be_there_yet(logs: LogsFolder) -> None:
    path = os.path.join(logs.path, "dfud.prom")
    file = MetricsFile(path, logs)
    logs.make()
    file.end(NEW)
    assert b"dfud_run_info" in Path(path).read_bytes()


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("node/metrics", "rename it"),
        ("data/dfud.prom", "lies in the directory that is uploaded"),
        ("data/below/dfud.prom", "lies in the directory that is uploaded"),
        ("link/dfud.prom", "lies in the directory that is uploaded"),
        ("away/dfud.prom", "No such file or directory; its folder must exist"),
        ("node/folder.prom", "it is a folder"),
        ("/proc/dfud.prom", "its folder must exist, and dfud must be able to write into it"),
    ],
)
def test_a_place_that_does_not_work_is_refused(
    tmp_path: Path, place: Path, logs: LogsFolder, path: str, words: str
) -> None:
    (place.parent / "folder.prom").mkdir()
    (tmp_path / "link").symlink_to("data")
    with pytest.raises(UsageError, match=words) as caught:
        MetricsFile(str(tmp_path / path), logs)
    assert "\n" not in str(caught.value)
    assert os.listdir(tmp_path / "data") == []
