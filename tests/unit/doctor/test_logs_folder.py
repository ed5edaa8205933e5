"""What the doctor says of LOGS, in which it changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.core.openmsistream_tables import COMPLETED_FIELDS
from dfud.doctor.diagnosis import Diagnosis, Level
from dfud.doctor.logs_folder import check_logs_folder
from dfud.logs.layout import LogsFolder
from dfud.logs.logfile import LogOptions
from dfud.uploading.preflight import make_logs
from tests.helpers.doctoring import levels, options_for, without_privileges
from tests.helpers.folders import take_lock
from tests.helpers.unavailable import UnavailableError
from tests.helpers.users import open_folder

LOCK = ".upload_to_T.lock"


@pytest.fixture
def directory() -> Iterator[Path]:
    try:
        with open_folder() as folder:
            yield folder
    except UnavailableError as error:
        pytest.skip(str(error))


def texts(diagnoses: list[Diagnosis], level: Level) -> list[str]:
    return [each.text for each in diagnoses if each.level is level]


def state(top: Path) -> dict[str, tuple[int, ...]]:
    """Return all that would show that something was written, or a lock taken."""
    return {
        os.path.join(folder, name): (
            *os.stat(os.path.join(folder, name), follow_symlinks=False)[:7],
            os.stat(folder).st_mtime_ns,
        )
        for folder, folders, files in os.walk(top)
        for name in [*folders, *files]
    }


def test_a_logs_that_does_not_exist_is_not_made(directory: Path) -> None:
    diagnoses = list(check_logs_folder(options_for(directory)))
    assert levels(diagnoses) == {"LOGS": Level.FINE, "run": Level.FINE, "disk": Level.FINE}
    assert list(directory.iterdir()) == []
    ((level, _, text),) = without_privileges(check_logs_folder, options_for(directory))
    if os.geteuid() == 0:
        assert level is Level.STOPS
        assert text.startswith(f"cannot use {directory}: Permission denied; dfud must be able to write into LOGS")


def test_nothing_is_changed_beside_a_run_that_is_named(directory: Path) -> None:
    folder = LogsFolder(str(directory), "T")
    make_logs(folder)
    lock = take_lock(folder.lock)
    before = state(directory)
    diagnoses = list(check_logs_folder(options_for(directory)))
    assert "an upload is running" in texts(diagnoses, Level.FINE)[1]
    lock.close()
    diagnoses = list(check_logs_folder(options_for(directory)))
    assert "no upload by dfud is running" in texts(diagnoses, Level.FINE)[1]
    assert state(directory) == before


def test_tables_of_openmsistream_are_named(directory: Path) -> None:
    (directory / "LOGS").mkdir()
    (directory / "LOGS" / "uploaded_to_T.csv").write_text(";".join(COMPLETED_FIELDS) + "\n")
    diagnoses = list(check_logs_folder(options_for(directory)))
    assert "its tables are OpenMSIStream's: an upload imports them" in texts(diagnoses, Level.FINE)[1]


def test_a_logs_that_others_own_stops_an_upload(directory: Path) -> None:
    if os.geteuid() != 0:
        pytest.skip("needs files of another user")
    folder = LogsFolder(str(directory), "T")
    make_logs(folder)
    take_lock(folder.lock).close()
    os.chmod(folder.path, 0o777)
    (stopped,) = texts(without_privileges(check_logs_folder, options_for(directory)), Level.STOPS)
    assert stopped.startswith(f"cannot use {folder.lock}: Permission denied")
    (weak,) = texts(list(check_logs_folder(options_for(directory))), Level.WARNING)
    assert "can be written by its group and others" in weak


def link(path: Path) -> None:
    path.symlink_to("/etc/passwd")


@pytest.mark.parametrize("plant", [link, os.mkfifo, Path.mkdir])
@pytest.mark.parametrize("name", [LOCK, "uploaded_to_T.csv", "DataFileUploadDirectory.log"])
def test_what_was_planted_stops_an_upload(directory: Path, plant: Callable[[Path], None], name: str) -> None:
    make_logs(LogsFolder(str(directory), "T"))
    plant(directory / "LOGS" / name)
    (stopped,) = texts(list(check_logs_folder(options_for(directory))), Level.STOPS)
    assert name in stopped


def test_the_tables_of_another_directory_stop_an_upload(directory: Path) -> None:
    for name in ("one", "other", "state"):
        (directory / name).mkdir()
    make_logs(LogsFolder(str(directory / "one"), "T", str(directory / "state")))
    options = options_for(directory / "other", state_dir=str(directory / "state"))
    (stopped,) = texts(list(check_logs_folder(options)), Level.STOPS)
    assert "belongs to" in stopped


def test_a_log_file_elsewhere_is_looked_at(directory: Path) -> None:
    make_logs(LogsFolder(str(directory), "T"))
    assert not texts(
        list(check_logs_folder(options_for(directory, log=LogOptions(20, 20, "/tmp/x.log")))), Level.STOPS
    )
    for path in ("/proc/none/x.log", "/proc/sys/x.log"):
        (stopped,) = texts(
            list(check_logs_folder(options_for(directory, log=LogOptions(20, 20, path)))), Level.STOPS
        )
        assert stopped.startswith(f"cannot open {path}: ")
