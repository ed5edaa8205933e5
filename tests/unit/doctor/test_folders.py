"""What the doctor says of the directory."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from dfud.doctor.diagnosis import Diagnosis, Level
from dfud.doctor.folders import survey
from dfud.uploading.options import UploadOptions
from tests.helpers.doctoring import options_for, without_privileges
from tests.helpers.unavailable import UnavailableError
from tests.helpers.users import open_folder

NO_LOGS = (0, 0)


@pytest.fixture
def directory() -> Iterator[Path]:
    """A directory with folders and files, into which everybody may look."""
    try:
        with open_folder() as folder:
            for name in ("a/b/file", "a/other.log", ".hidden/c/file", "LOGS/table", "file"):
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_bytes(b"x")
            yield folder
    except UnavailableError as error:
        pytest.skip(str(error))


def diagnoses(options: UploadOptions) -> Iterable[Diagnosis]:
    return survey(options, NO_LOGS).diagnoses


def test_what_would_be_uploaded_is_counted(directory: Path) -> None:
    found = survey(options_for(directory), NO_LOGS)
    assert (found.n_folders, found.is_whole) == (3, True)
    ((level, _, text),) = found.diagnoses
    assert level is Level.FINE
    assert text.endswith("can be read: 3 folders and 2 files that would be uploaded")
    everything = survey(options_for(directory, upload_regex=".*"), NO_LOGS)
    assert everything.n_folders == 5


def test_a_pattern_that_matches_nothing_is_told(directory: Path) -> None:
    told, _ = diagnoses(options_for(directory, upload_regex="flie"))
    assert told.level is Level.WARNING
    assert "--upload_regex flie matches none of the 4 files" in told.text


def test_what_this_user_cannot_read_is_told(directory: Path) -> None:
    (directory / "file").chmod(0)
    (directory / "a" / "b").chmod(0)
    folders, files, _ = without_privileges(diagnoses, options_for(directory))
    assert folders.level is files.level is Level.WARNING
    assert folders.text.startswith("1 folder cannot be read, such as a/b; ")
    assert files.text.startswith("1 file cannot be read, such as file; ")
    (directory / "a" / "b").chmod(0o700)


def test_a_directory_that_is_none_or_is_closed_stops_an_upload(directory: Path) -> None:
    ((level, _, text),) = diagnoses(options_for(directory / "file"))
    assert (level, text) == (
        Level.STOPS,
        f"{directory}/file is not a directory; give the directory to be uploaded",
    )
    directory.chmod(0)
    ((level, _, text),) = without_privileges(diagnoses, options_for(directory))
    directory.chmod(0o755)
    assert level is Level.STOPS
    assert os.fspath(directory) in text


def test_a_walk_that_takes_too_long_is_cut_short(directory: Path) -> None:
    times = iter(range(0, 1000, 4))
    found = survey(options_for(directory), NO_LOGS, lambda: float(next(times)))
    assert not found.is_whole
    assert "at least (after 5 s)" in found.diagnoses[-1].text
