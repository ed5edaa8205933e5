"""Options and errors of the commands: any mistake is one line and exit status 2, and nothing is written."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dfud import __version__
from dfud.commands import upload as module
from dfud.commands.broker import broker
from dfud.commands.main import dfud, run
from dfud.commands.upload import upload
from dfud.errors import BrokerError, LockedError, UsageError
from dfud.kafka.config import ClientConfig
from dfud.logs.logfile import LogOptions
from dfud.uploading.options import UploadOptions

Capture = pytest.CaptureFixture[str]


@pytest.fixture
def top(tmp_path: Path) -> Path:
    folder = tmp_path / "top"
    folder.mkdir()
    (folder / "file").write_bytes(b"x")
    return folder


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "file.config"
    path.write_text("[broker]\nbootstrap.servers = 127.0.0.1:9\n[producer]\n")
    return path


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[tuple[UploadOptions, ClientConfig]]:
    """The options with which uploads would have been started."""
    calls: list[tuple[UploadOptions, ClientConfig]] = []

    def start(options: UploadOptions, client: ClientConfig) -> int:
        calls.append((options, client))
        return 0

    monkeypatch.setattr(module, "run_upload", start)
    return calls


def refused(capsys: Capture, *arguments: object) -> str:
    """Run the upload, which must exit with status 2; return its one line of output."""
    status = run(upload, [str(argument) for argument in arguments], "DataFileUploadDirectory")
    out, err = capsys.readouterr()
    assert status == 2
    assert out == ""
    assert err.endswith("\n")
    assert err.count("\n") == 1
    assert err.startswith("DataFileUploadDirectory: ")
    return err


BAD = [
    ("--n_threads", "0"),
    ("--n_threads", "65"),
    ("--n_threads", "two"),
    ("--chunk_size", "0"),
    ("--chunk_size", "-1024"),
    ("--chunk_size", "1000"),
    ("--chunk_size", "16k"),
    ("--chunk_size", str(1 << 40)),
    ("--upload_regex", "("),
    ("--upload_regex", "a{99999999999}"),
    ("--metrics_port", "70000"),
    ("--metrics_port", "-1"),
    ("--metrics_port", "host:9710"),
    ("--metrics_port", "[127.0.0.1:9710"),
    ("--metrics_port", "127.0.0.1"),
    ("--watchdog_lag_time", "-1"),
    ("--watchdog_lag_time", "nan"),
    ("--watchdog_lag_time", "inf"),
    ("--watchdog_lag_time", "soon"),
    ("--time_limit", "0"),
    ("--time_limit", "inf"),
    ("--queue_max_size", "0"),
    ("--queue_max_size", "-1"),
    ("--queue_max_size", "nan"),
    ("--queue_max_size", "inf"),
    ("--queue_max_size", "much"),
    ("--update_seconds", "0"),
    ("--update_seconds", "nan"),
    ("--update_seconds", "soon"),
    ("--topic_name", ""),
    ("--topic_name", "."),
    ("--topic_name", "with blank"),
    ("--topic_name", "with\nline"),
    ("--topic_name", "ü"),
    ("--topic_name", "x" * 250),
    ("--logger_stream_level", "loud"),
    ("--logger_stream_level", ""),
    ("--logger_stream_level", "²"),
    ("--logger_file_level", "-1"),
    ("--logger_file_max_size", "-1"),
    ("--logger_file_count", "0"),
    ("--log_format", "xml"),
]


@pytest.mark.parametrize(("name", "value"), BAD)
@pytest.mark.parametrize("dashed", [False, True])
def test_a_bad_option_is_named(
    capsys: Capture, top: Path, config: Path, started: list[object], name: str, value: str, dashed: bool
) -> None:
    spelling = "--" + name[2:].replace("_", "-") if dashed else name
    text = refused(capsys, top, "--config", config, "--topic_name", "topic", spelling, value)
    assert name in text
    assert "(see DataFileUploadDirectory --help)" in text
    assert started == []
    assert os.listdir(top) == ["file"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument 'DIR'"),
        (["{top}"], "Missing option '--config'"),
        (["{top}", "--config", "{config}"], "Missing option '--topic_name'"),
        (["{top}", "{top}", "--config", "{config}", "--topic_name", "t"], "unexpected extra argument"),
        (["{top}", "--nothing"], "No such option"),
        (["{top}", "--config"], "'--config' requires an argument"),
        (["{top}/no\nthing", "--config", "{config}", "--topic_name", "t"], "/no\\nthing does not exist"),
        (["{top}/file", "--config", "{config}", "--topic_name", "t"], "/file is not a directory"),
        (["{top}", "--config", "{top}/none", "--topic_name", "t"], "cannot read the config file {top}/none"),
        (["{top}", "--config", "{top}", "--topic_name", "t"], "cannot read the config file {top}: Is a directory"),
        (["{top}", "--config", "{top}/file", "--topic_name", "t"], "is not a valid INI file"),
    ],
)
def test_missing_things_are_named(
    capsys: Capture, top: Path, config: Path, started: list[object], arguments: list[str], message: str
) -> None:
    text = refused(capsys, *(argument.format(top=top, config=config) for argument in arguments))
    assert message.format(top=top) in text
    assert started == []
    assert os.listdir(top) == ["file"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--topic_name", "x" * 201], "--topic_name is longer than 200 characters"),
        (["--queue_max_size", "0.01"], "--queue_max_size 0.01 has no room for two chunks"),
        (["--chunk_size", str(1 << 28)], "has no room for two chunks"),
        (["--queue_max_size", "1e9"], "--queue_max_size 1e+09 (MB) is more memory than is available here"),
        (["--queue_max_size", "1e300"], "(MB) is more memory than is available here"),
        (["--guard", "1d"], "--guard needs --receipts TOPIC and --receivers NAME"),
        (["--guard", "1d", "--receipts", "R", "--receivers", "1", "--once"], "not for --once"),
        (["--resend"], "--resend sends again what --guard finds"),
    ],
)
def test_contradicting_options_are_refused(
    capsys: Capture, top: Path, config: Path, arguments: list[str], message: str
) -> None:
    assert message in refused(capsys, top, "--config", config, "--topic_name", "topic", *arguments)
    assert os.listdir(top) == ["file"]


def test_the_options_are_passed_on(top: Path, config: Path, started: list[object]) -> None:
    arguments = [str(top), "--config", str(config), "--topic_name", "topic"]
    assert run(upload, arguments, "dfud") == 0
    assert started.pop() == (
        UploadOptions(
            str(top), "topic", False, 2, None, 16384, 500.0, 300.0, False, False, 0, False, LogOptions(20, 20)
        ),
        ClientConfig(str(config), {"bootstrap.servers": "127.0.0.1:9"}),
    )
    more = ["--upload_existing", "--once", "--use_polling_observer", "--n_threads", "7", "--chunk_size", "1"]
    more += ["--queue_max_size", "0.5", "--update_seconds", "-1", "--logger_stream_level", "WARNING"]
    more += ["--logger_file_level", "5", "--logger_file_path", "x", "--upload_regex", "a"]
    more += ["--watchdog_lag_time", "1.5", "--follow_links"]
    expected = UploadOptions(
        str(top), "topic", True, 7, "a", 1, 0.5, -1.0, True, True, 1.5, True, LogOptions(30, 5, "x")
    )
    assert run(upload, arguments + more, "dfud") == 0
    assert started[-1][0] == expected  # type: ignore[index]
    dashed = ["--" + word[2:].replace("_", "-") if word[:2] == "--" else word for word in arguments + more]
    assert run(upload, dashed, "dfud") == 0
    assert started[-1][0] == expected  # type: ignore[index]


@pytest.mark.parametrize("command", [dfud, upload, broker])
@pytest.mark.parametrize("spelling", ["-h", "--help"])
def test_help(capsys: Capture, command: click.Command, spelling: str) -> None:
    assert run(command, [spelling], "dfud") == 0
    out, err = capsys.readouterr()
    assert out.startswith("Usage: dfud")
    assert err == ""


def test_help_names_every_option_of_the_contract(capsys: Capture) -> None:
    run(upload, ["-h"], "dfud")
    text = capsys.readouterr().out
    for name in (
        "config", "topic_name", "upload_existing", "n_threads", "upload_regex", "chunk_size", "queue_max_size",
        "update_seconds", "once", "use_polling_observer", "logger_stream_level", "logger_file_level",
        "logger_file_path", "version", "watchdog_lag_time", "follow_links", "log_format", "quiet", "time_limit",
        "metrics_port", "metrics_file",
    ):  # fmt: skip
        assert f"--{name}" in text


@pytest.mark.parametrize("command", [dfud, upload])
def test_version(capsys: Capture, command: click.Command) -> None:
    assert run(command, ["--version"], "dfud") == 0
    assert capsys.readouterr().out == f"dfud, version {__version__}\n"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("9710", ("127.0.0.1", 9710)),
        ("0.0.0.0:9710", ("0.0.0.0", 9710)),
        ("[2001:db8::1]:9710", ("2001:db8::1", 9710)),
    ],
)
def test_metrics_are_for_this_machine_alone_unless_an_address_is_given(
    top: Path, config: Path, started: list[tuple[UploadOptions, ClientConfig]], text: str, address: tuple[str, int]
) -> None:
    arguments = [str(top), "--config", str(config), "--topic_name", "T", "--metrics-port", text]
    assert run(upload, arguments, "dfud") == 0
    assert started[0][0].metrics_port == address


def test_quiet_leaves_warnings_and_errors(
    top: Path, config: Path, started: list[tuple[UploadOptions, ClientConfig]]
) -> None:
    words = [str(top), "--config", str(config), "--topic_name", "t", "-q"]
    assert run(upload, words, "dfud") == 0
    assert run(upload, [*words, "--logger_stream_level", "error"], "dfud") == 0
    shown = [(options.log.stream_level, options.update_seconds) for options, _ in started]
    assert shown == [(logging.WARNING, -1), (logging.ERROR, -1)]


@pytest.mark.parametrize(("options", "lines"), [([], 1), (["--quiet"], 0)])
def test_another_instance_is_no_news_for_cron(
    top: Path, config: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, options: list[str], lines: int
) -> None:
    def start(*_: object) -> int:
        raise LockedError("another dfud is at work")

    monkeypatch.setattr(module, "run_upload", start)
    assert run(upload, [str(top), "--config", str(config), "--topic_name", "t", *options], "dfud") == 75
    out, err = capsys.readouterr()
    assert (out + err).count("\n") == lines


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (UsageError("one\nline"), 2),
        (LockedError("another instance"), 75),
        (BrokerError("ended:\n  its log"), 1),
        (click.Abort(), 1),
        (click.FileError("x", "hint"), 2),
        (KeyboardInterrupt(), 1),
    ],
)
def test_errors_become_exit_statuses(capsys: Capture, error: BaseException, status: int) -> None:
    @click.command()
    def fail() -> None:
        raise error

    assert run(fail, [], "dfud") == status
    lines = capsys.readouterr().err.strip().splitlines()
    assert lines[0].startswith("dfud: ")
    assert len(lines) == (2 if isinstance(error, BrokerError) else 1)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["uplode"], "No such command 'uplode'"),
        (["upload", "--nope"], "(see dfud upload --help)"),
        (["broker", "--port", "70000"], "--port"),
    ],
)
def test_the_program_itself(tmp_path: Path, arguments: list[str], message: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dfud", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert done.returncode == 2
    assert message in done.stderr
    assert done.stderr.count("\n") == 1
    assert done.stdout == ""
    assert os.listdir(tmp_path) == []


def test_a_directory_whose_name_is_not_utf_8(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "dfud", "upload", b"no\xff", "--config", "x", "--topic_name", "t"],
        capture_output=True,
        timeout=60,
        check=False,
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr == b"dfud: no\\xff does not exist; give the directory to be uploaded\n"


RELEASE = ["--receipts", "R", "--receivers", "archive", "--release"]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--release", "delete", "--receivers", "2"], "--release needs --receipts TOPIC and --receivers NAME"),
        (["--release", "delete", "--receipts", "R"], "--release needs --receipts TOPIC and --receivers NAME"),
        (["--release_keep_free", "20"], "--release_keep_free has no effect without --release"),
        (["--receipts", "R"], "--receipts has no effect without --release or --guard"),
        (["--receivers", "2"], "--receivers has no effect without --release or --guard"),
        ([*RELEASE, "move"], "give both, or neither"),
        ([*RELEASE, "delete", "--release_to", "DIR"], "give both, or neither"),
        ([*RELEASE, "move", "--release_to", "DIR"], "lies in the directory that is uploaded"),
        ([*RELEASE, "move", "--release_to", "/nowhere"], "cannot open --release_to /nowhere"),
        ([*RELEASE, "delete", "--release_every", "0.5s"], "--release_every 0.5s is less than a second"),
        ([*RELEASE, "delete", "--release_older_than", "7"], "'7' is not a duration"),
    ],
)
def test_releases_that_cannot_work_are_refused(
    capsys: Capture, top: Path, config: Path, words: list[str], message: str
) -> None:
    given = [str(top) if word == "DIR" else word for word in words]
    assert message in refused(capsys, top, "--config", config, "--topic_name", "T", *given)


def test_a_release_is_planned_before_the_upload_begins(
    top: Path, tmp_path: Path, config: Path, started: list[tuple[UploadOptions, ClientConfig]]
) -> None:
    words = [*RELEASE, "move", "--release_to", str(tmp_path), "--release_every", "5m", "--run_marker", "Done"]
    assert run(upload, [str(top), "--config", str(config), "--topic_name", "T", *words], "dfud") == 0
    plan = started[0][0].release
    assert plan is not None
    assert (plan.every_s, plan.done) == (300.0, "moved")
    wanted = plan.run.__self__.options  # type: ignore[attr-defined]
    assert (wanted.acts, wanted.to, wanted.run_marker) == (True, str(tmp_path), ("Done",))
    assert wanted.required.words == ["archive"]
