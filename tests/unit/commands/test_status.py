"""``dfud status``: its text, its JSON, its errors."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.commands.main import main
from dfud.core.openmsistream_tables import COMPLETED_FIELDS, IN_PROGRESS_FIELDS
from dfud.core.ranges import RangeSet
from dfud.core.sizes import shown_size
from dfud.core.tables import CompletedRow, format_table, in_progress_row
from dfud.core.version import FileVersion
from dfud.logs.in_progress_table import write_in_progress_table
from dfud.logs.layout import LogsFolder
from dfud.logs.upload_status import BrokerStatus, Cause, Failures, OldestFile, UploadStatus, encode_status
from tests.helpers.folders import take_lock
from tests.helpers.statuses import upload_status

AT = "2026-03-01T10:00:00.000+00:00"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory that was uploaded to the topics T and U."""
    (tmp_path / "LOGS").mkdir()
    folder = LogsFolder(str(tmp_path), "T")
    write_in_progress_table(folder, [in_progress_row(FileVersion(b"a", 40_000, 1), 16384, RangeSet([(1, 2)]), AT)])
    row = CompletedRow("b", 1_500_000, 1, 92, 16384, "0" * 32, AT, AT)
    Path(folder.completed).write_bytes((format_table(CompletedRow, [row]) + "cut off\r\n").encode())
    write_in_progress_table(LogsFolder(str(tmp_path), "U"), [])
    return tmp_path


def run(capsys: pytest.CaptureFixture[str], *arguments: object) -> tuple[int, str, str]:
    """Run the command; return its exit status, output and errors."""
    with pytest.raises(SystemExit) as ended:
        main(["status", *map(str, arguments)])
    assert isinstance(ended.value.code, int)
    return (ended.value.code, *capsys.readouterr())


def test_each_topic_is_shown(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lock = take_lock(LogsFolder(str(directory), "T").lock)
    status, out, err = run(capsys, directory)
    lock.close()
    assert (status, err) == (0, "")
    assert out == (
        "topic T: an uploader is running\n"
        f"  completed:   1 file, 1.5 MB, the last at {AT}\n"
        "  in progress: 1 file, 40.0 kB, 1 of 3 chunks to be sent\n"
        "  bad rows:    1, which the next upload sets aside\n"
        "    row 3 of uploaded_to_T.csv: it has 1 column instead of 8\n"
        "\n"
        "topic U: no uploader is running\n"
        "  completed:   0 files, 0 bytes\n"
        "  in progress: 0 files, 0 bytes\n"
    )


def test_json_says_the_same(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, directory, "--topic-name", "T", "--json")
    assert status == 0
    table = str(directory / "LOGS" / "uploaded_to_T.csv")
    assert json.loads(out) == {
        "topics": [
            {
                "topic": "T",
                "run": "ended",
                "completed": {"files": 1, "versions": 1, "size": 1_500_000, "last": AT},
                "in_progress": {"files": 1, "versions": 1, "size": 40_000, "chunks": 3, "chunks_to_send": 1},
                "bad_rows": [{"table": table, "row": 3, "why": "it has 1 column instead of 8"}],
                "to_take_over": [],
                "status": None,
            }
        ]
    }


def test_nothing_is_written(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    def state() -> dict[str, tuple[int, bytes]]:
        return {path.name: (path.stat().st_mtime_ns, path.read_bytes()) for path in (directory / "LOGS").iterdir()}

    before = state()
    run(capsys, directory)
    assert state() == before


def test_a_run_that_may_have_left_something_is_reported(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (directory / "LOGS" / ".upload_to_U.lock").write_text("0\n")
    assert "topic U: no uploader is running; start it again" in run(capsys, directory)[1]


def test_tables_of_openmsistream_are_named_and_not_counted(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    logs = directory / "LOGS"
    (logs / "upload_to_U_in_progress.csv").write_text(f"{';'.join(IN_PROGRESS_FIELDS)}\n'a';'a';1\n")
    (logs / "uploaded_to_U_p7f_1_2.csv").write_text(f"{';'.join(COMPLETED_FIELDS)}\n'b';'b';1\n")
    out = run(capsys, directory, "--topic_name", "U")[1]
    assert "completed:   0 files" in out
    assert "bad rows" not in out
    assert out.endswith("not counted: upload_to_U_in_progress.csv, uploaded_to_U_p7f_1_2.csv\n")


def test_control_characters_are_escaped(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    logs = directory / "LOGS"
    (logs / "uploaded_to_\x1b[2J.csv").write_text("\x1b]0;title\x07\n")
    (logs / "uploaded_to_\x9b~p0_1.csv").write_text("\x1b\n")
    (logs / "upload_to_T_in_progress.csv").write_text(f"{';'.join(IN_PROGRESS_FIELDS)}\n'\x1b[31m';'a';1\n")
    for arguments in ([directory], [directory, "--topic_name", "\x1b[2J"], [directory / "\x1b[2J"]):
        _, out, err = run(capsys, *arguments)
        assert (out + err).replace("\n", "").isprintable(), out + err
    assert "topic \\x1b[2J: no uploader is running" in run(capsys, directory)[1]


def test_the_files_need_not_be_readable(
    directory: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("os.access", lambda *_, **__: False)
    assert run(capsys, directory)[::2] == (0, "")


def test_logs_without_a_topic_are_not_an_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "LOGS").mkdir()
    assert run(capsys, tmp_path) == (0, f"nothing has been uploaded from {tmp_path} yet\n", "")
    assert json.loads(run(capsys, tmp_path, "--json")[1]) == {"topics": []}


@pytest.mark.parametrize(
    ("make", "arguments", "message"),
    [
        pytest.param(
            "LOGS/uploaded_to_T.csv/", ["."], "cannot read ./LOGS/uploaded_to_T.csv: Is", id="unreadable-table"
        ),
        pytest.param("file", ["."], "has no LOGS", id="no-logs"),
        pytest.param("LOGS", ["."], "LOGS: it is a link or a file, not a folder; remove", id="logs-is-a-file"),
        pytest.param("file", ["file"], "file is not a directory", id="no-directory"),
        pytest.param("file", ["nowhere"], "nowhere does not exist", id="nothing"),
        pytest.param("LOGS/uploaded_to_T.csv", [".", "--topic_name", "V"], "LOGS has tables for T", id="topic"),
        pytest.param("LOGS/", [".", "--topic_name", "a b"], "'a b' is not a name that Kafka allows", id="name"),
    ],
)
def test_an_error_is_reported_in_one_line(
    make: str,
    arguments: list[str],
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    path = Path(make)
    if make.endswith("/"):
        path.mkdir(parents=True)
    else:
        path.parent.mkdir(exist_ok=True)
        path.touch()
    status, out, err = run(capsys, *arguments)
    assert (status, out) == (2, "")
    (line,) = err.splitlines()
    assert message in line


@pytest.mark.parametrize(
    ("size", "text"),
    [(0, "0 bytes"), (999, "999 bytes"), (1000, "1.0 kB"), (999_949, "999.9 kB"), (999_950, "1.0 MB")],
)
def test_a_size_is_shown(size: int, text: str) -> None:
    assert shown_size(size) == text


@given(st.integers(1000, 10**17))
def test_a_shown_size_is_close_to_the_size(size: int) -> None:
    number, unit = shown_size(size).split()
    scale = 1000 ** ["bytes", "kB", "MB", "GB", "TB", "PB"].index(unit)
    assert abs(float(number.replace(",", "")) * scale - size) <= 0.051 * scale


# What the run says itself


def write_status(directory: Path, **changes: object) -> UploadStatus:
    """Write the status file of a run that is now at work on topic T."""
    now = datetime.now(timezone.utc).isoformat()
    status = upload_status(
        directory=str(directory),
        pid=7,
        started=AT,
        written=now,
        broker=BrokerStatus("unreachable", "Connection refused", AT),
        oldest=OldestFile("a", AT, 61.0),
        failures=Failures(failed=2, causes=(Cause("too large", True, 2, "big"),)),
    )
    status = msgspec.structs.replace(status, **changes)
    (directory / "LOGS" / "upload_to_T_status.json").write_bytes(encode_status(status))
    return status


def test_what_a_run_says_is_shown(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = write_status(directory)
    lock = take_lock(LogsFolder(str(directory), "T").lock)
    out = run(capsys, directory, "--topic_name", "T")[1].splitlines()
    shown = json.loads(run(capsys, directory, "--topic_name", "T", "--json")[1])
    lock.close()
    assert out[3:8] == [
        f"  run:         running, process 7 on here, since {AT}",
        f"  broker:      unreachable since {AT} (Connection refused)",
        "  oldest:      a, waiting for 61 s",
        "  failures:    2 files could not be delivered",
        "    big, and 1 more: too large",
    ]
    assert msgspec.convert(shown["topics"][0]["status"], UploadStatus) == status


def test_a_file_that_the_tables_call_completed_does_not_wait(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_in_progress_table(LogsFolder(str(directory), "T"), [])
    write_status(directory, oldest=OldestFile("b", AT, 1.0))
    lock = take_lock(LogsFolder(str(directory), "T").lock)
    out = run(capsys, directory, "--topic_name", "T")[1]
    lock.close()
    assert "run:  " in out
    assert "oldest:" not in out


def test_a_run_that_was_killed_is_told_by_its_lock(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status = write_status(directory)
    out = run(capsys, directory, "--topic_name", "T")[1]
    assert f"the last run was killed, or ended by an error, after {status.written}" in out
    assert "process 7" not in out


@pytest.mark.parametrize("content", ["", "{}", "["])
def test_a_damaged_status_file_is_said_to_be_one(
    directory: Path, capsys: pytest.CaptureFixture[str], content: str
) -> None:
    (directory / "LOGS" / "upload_to_T_status.json").write_text(content)
    status, out, _ = run(capsys, directory)
    assert status == 0
    assert "status file: cannot be read: it is damaged, or of another version" in out


# As a monitoring plugin


def test_check_is_one_line_with_the_status_of_a_plugin(
    directory: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = (directory, "--topic_name", "T", "--check", "--space_warning", 0, "--space_critical", 0)
    write_status(directory, broker=BrokerStatus("reachable"), failures=Failures(), oldest=None)
    lock = take_lock(LogsFolder(str(directory), "T").lock)
    status, out, err = run(capsys, *arguments)
    lock.close()
    assert (status, err) == (0, "")
    assert out.startswith("DFUD OK - running, idle, 0 files completed | free=")
    assert len(out.splitlines()) == 1
    status, out, _ = run(capsys, *arguments)
    assert (status, out[:45]) == (2, "DFUD CRITICAL - not running: killed, or ended")


def test_check_reads_no_table(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = directory / "LOGS" / "uploaded_to_T.csv"
    table.unlink()
    table.mkdir()
    assert run(capsys, directory)[0] == 2
    assert "cannot read" not in run(capsys, directory, "--check")[1]


def test_check_looks_at_all_topics(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    status, out, _ = run(capsys, directory, "--check")
    assert status == 2
    assert "T: no upload is running; U: no upload is running | T_free=" in out


@pytest.mark.parametrize("arguments", [["nowhere"], ["."], [".", "--topic_name", "V"]])
def test_check_says_what_is_missing_in_its_line(
    arguments: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    status, out, err = run(capsys, *arguments, "--check")
    assert (status, err) == (2, "")
    assert out.startswith("DFUD CRITICAL - ")
    assert len(out.splitlines()) == 1


# Again and again


def test_watch_repeats_until_it_is_interrupted(directory: Path) -> None:
    words = [sys.executable, "-m", "dfud", "status", str(directory), "--watch", "--interval", "0", "--json"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        first, second = (json.loads(watch.stdout.readline()) for _ in range(2))
        assert first == second
        watch.send_signal(signal.SIGINT)
        assert watch.stderr.read() == b""
        watch.stdout.read()
    assert watch.returncode == 0


def test_watch_ends_with_its_reader(directory: Path) -> None:
    words = [sys.executable, "-m", "dfud", "status", str(directory), "--watch", "--interval", "0"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as watch:
        assert watch.stdout is not None
        assert watch.stderr is not None
        watch.stdout.readline()
        watch.stdout.close()
        assert watch.stderr.read() == b""
    assert watch.returncode == 0
