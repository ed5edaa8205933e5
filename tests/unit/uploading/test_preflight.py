"""What is refused before anything is written."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import pytest

from dfud.core.openmsistream_tables import IN_PROGRESS_FIELDS
from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig
from dfud.logs.layout import LogsFolder
from dfud.logs.logfile import LogOptions
from dfud.uploading.preflight import check_logs_access, check_options, make_logs, memory_shares, sealing_fault
from tests.helpers.doctoring import options_for

OPTIONS = options_for("/data", "topic")


def test_the_defaults_are_accepted() -> None:
    check_options(OPTIONS)
    assert memory_shares(OPTIONS) == (16_000_000, 64_000_000)


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"topic": "t" * 201}, "--topic_name"),
        ({"run_sha256": True}, "--run_sha256 is for the runs of --run_marker"),
        ({"queue_max_size": 0.06}, "--queue_max_size 0.06 has no room for two chunks"),
        ({"queue_max_size": 1e12}, "--queue_max_size 1e.12 .* more memory"),
        ({"queue_max_size": 1e30}, "--queue_max_size 1e.30 .* more memory"),
    ],
)
def test_what_does_not_fit_is_a_usage_error(changes: dict[str, object], option: str) -> None:
    with pytest.raises(UsageError, match=option):
        check_options(OPTIONS._replace(**changes))  # type: ignore[arg-type]


def test_runs_are_sealed_only_on_a_topic_with_messages_of_our_own() -> None:
    native, other = ClientConfig("kafka.config", {}), ClientConfig("kafka.config", {}, "openmsistream")
    sealing = OPTIONS._replace(run_marker=("Done",))
    assert [sealing_fault(sealing, native), sealing_fault(OPTIONS, other)] == ["", ""]
    assert "remove value.serializer and key.serializer from kafka.config" in sealing_fault(sealing, other)


def test_two_chunks_in_each_lane_are_enough() -> None:
    check_options(OPTIONS._replace(queue_max_size=0.0656))


@pytest.mark.parametrize("log_file", ["", "/dfud.log"])
def test_tables_that_openmsistream_left_beside_the_log_are_not_missed(tmp_path: Path, log_file: str) -> None:
    elsewhere, directory = tmp_path / "elsewhere", tmp_path / "data"
    elsewhere.mkdir()
    directory.mkdir()
    log = LogOptions(logging.INFO, logging.INFO, f"{elsewhere}{log_file}")
    options = options_for(directory, "topic", log=log)
    check_options(options)
    table = elsewhere / "upload_to_topic_in_progress.csv"
    table.write_text(";".join(IN_PROGRESS_FIELDS))
    with pytest.raises(UsageError, match=rf"OpenMSIStream left its tables of topic topic in {elsewhere}, "):
        check_options(options)
    (directory / "LOGS").mkdir()
    table.rename(directory / "LOGS" / table.name)
    check_options(options)
    table.write_text(";".join(IN_PROGRESS_FIELDS))  # a copy of what is in LOGS already
    check_options(options)


def test_a_logs_folder_that_cannot_be_made_or_written_is_known_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = LogsFolder(os.fspath(tmp_path), "topic")
    check_logs_access(folder)
    assert os.listdir(tmp_path) == []
    monkeypatch.setattr(os, "access", lambda *_, **__: False)
    with pytest.raises(UsageError, match=rf"^cannot use {tmp_path}: Permission denied; dfud must "):
        check_logs_access(folder)
    folder.make()
    with pytest.raises(UsageError, match=rf"^cannot use {folder.path}: Permission denied; "):
        check_logs_access(folder)


def test_logs_is_made_or_its_absence_explained(tmp_path: Path) -> None:
    for _ in range(2):
        folder = LogsFolder(os.fspath(tmp_path), "topic")
        make_logs(folder)
        assert os.path.isdir(folder.path)
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"^cannot use .*Not a directory; dfud must be able to write into LOGS, "):
        make_logs(LogsFolder(os.fspath(tmp_path / "file"), "topic"))
