"""What the doctor says of directories that two uploads have in common."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.doctor.diagnosis import Diagnosis, Level
from dfud.doctor.folders import survey
from dfud.doctor.logs_folder import check_logs_folder
from dfud.uploading.options import UploadOptions
from tests.helpers.doctoring import options_for


@pytest.fixture
def above(tmp_path: Path) -> Path:
    """A directory with LOGS of another program, with none of an upload, and an upload below it."""
    folder = tmp_path / "above"
    (folder / "day 1" / "LOGS").mkdir(parents=True)
    (folder / "below").mkdir()
    (folder / "day 1" / "LOGS" / "beam.csv").touch()
    return folder


def make_tables(directory: Path) -> None:
    (directory / "LOGS").mkdir()
    (directory / "LOGS" / "uploaded_to_T~p0_1.csv").touch()


def warnings_of(options: UploadOptions) -> list[Diagnosis]:
    found = [*survey(options, (0, 0)).diagnoses, *check_logs_folder(options)]
    return [each for each in found if each.level is Level.WARNING]


def test_tables_of_an_upload_below_would_be_sent(above: Path) -> None:
    assert warnings_of(options_for(above)) == []
    make_tables(above / "below")
    (told,) = warnings_of(options_for(above))
    assert told.subject == "directory"
    assert told.text.startswith("below has LOGS of an upload of its own, and its tables would be sent again")
    assert warnings_of(options_for(above, upload_regex="(?!below/).*/?")) == []


def test_tables_would_be_sent_by_an_upload_of_a_directory_above(above: Path, tmp_path: Path) -> None:
    make_tables(above)
    (told,) = warnings_of(options_for(above / "below"))
    assert told.subject == "LOGS"
    assert told.text.startswith(f"{above} is uploaded, too, and the tables of this upload would be sent again")
    assert warnings_of(options_for(above / "below", state_dir=str(tmp_path))) == []
