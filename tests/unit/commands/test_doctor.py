"""The command ``dfud doctor``, without a broker."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfud.commands.main import load, main
from dfud.doctor.diagnosis import Diagnosis, Level
from dfud.doctor.report import line, summary


def run(*words: object) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["doctor", *map(str, words)])
    assert isinstance(ended.value.code, int)
    return ended.value.code


def test_it_takes_what_an_upload_takes() -> None:
    ours = {parameter.name for parameter in load("doctor").params}
    assert ours == {parameter.name for parameter in load("upload").params} | {"as_json_text"}


def test_all_checks_are_made_whatever_fails(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "the.config"
    config.write_text("[broker]\nbootstrap.servers = 127.0.0.1:1\n")
    directory = tmp_path / "data"
    directory.mkdir()
    assert run(directory, "--config", config, "--topic_name", "T", "--json") == 2
    report = json.loads(capsys.readouterr().out)
    assert (report["exit_status"], report["topic"], report["directory"]) == (2, "T", str(directory))
    found = {each["subject"]: each["level"] for each in report["diagnoses"]}
    assert found["broker"] == "stops"
    assert found["topic"] == "skipped"
    assert {"configuration", "security", "directory", "inotify", "LOGS", "run", "disk", "file system",
            "descriptors", "processes", "memory", "address"} < found.keys()  # fmt: skip
    assert list(directory.iterdir()) == []


def test_quiet_leaves_out_what_is_fine(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(tmp_path / "none", "--config", tmp_path / "none", "--topic_name", "T", "--quiet") == 2
    lines = capsys.readouterr().out.splitlines()
    assert [each.split()[:2] for each in lines] == [["STOPS", "configuration"], ["STOPS", "directory"]]


def test_options_of_openmsistream_are_checked_as_by_an_upload(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ("--log_topic_name", "T", "--consumer_group_id", "g")
    assert run(tmp_path, "--config", tmp_path / "none", "--topic_name", "T", "--quiet", *words) == 2
    lines = capsys.readouterr().out.splitlines()
    assert "STOPS    announcements  --log_topic_name T is the topic of the files" in lines[-1]
    assert "WARNING  options        --consumer_group_id has no effect" in lines[-2]


def test_bad_options_are_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert run("/", "--config", "x", "--topic_name", "T", "--chunk_size", 1000) == 2
    (only,) = capsys.readouterr().err.splitlines()
    assert "1000 is not a nonzero power of two" in only


def test_a_line_is_one_line() -> None:
    found = Diagnosis(Level.WARNING, "directory", "a\nb\x1b[2J")
    assert line(found) == r"WARNING  directory      a\nb\x1b[2J"
    assert summary([found]) == "nothing that is known would stop this upload, 1 warning"
    assert summary([found, found._replace(level=Level.STOPS)]) == "1 thing would stop this upload, 1 warning"
    assert summary([found._replace(level=Level.FINE)]) == "all is fine"
