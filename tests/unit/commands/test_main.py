"""What all commands share: the table, lazy imports, exit statuses."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
from pathlib import Path

import click
import pytest

from dfud.commands.main import COMMANDS, load, main, run
from dfud.errors import EXIT_USAGE, DfudError, UsageError


@pytest.mark.parametrize("name", COMMANDS)
def test_a_command_has_its_name_and_a_line_of_help(name: str) -> None:
    command = load(name)
    assert command.name == name
    assert command.help
    assert not command.get_short_help_str(60).endswith("..."), "its first line is cut off in `dfud --help`"
    context = click.Context(command, info_name=name, **command.context_settings)
    assert "-h, --help" in command.get_help(context)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_option_has_a_dashed_spelling_too(name: str) -> None:
    for parameter in load(name).params:
        for spelling in parameter.opts:
            if spelling.startswith("--"):
                assert "--" + spelling[2:].replace("_", "-") in parameter.opts


def test_without_a_command_it_prints_the_help_and_reports_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([])
    assert ended.value.code == EXIT_USAGE
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Usage: dfud [OPTIONS] COMMAND")


def test_the_help_lists_all_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--help"])
    assert ended.value.code == 0
    listed = capsys.readouterr().out.partition("Commands:\n")[2].partition("\n\n")[0].splitlines()
    assert [line.split()[0] for line in listed] == list(COMMANDS)


def test_an_unknown_command_is_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["uplaod"])
    assert ended.value.code == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("dfud: No such command 'uplaod'")


def test_only_the_modules_of_the_command_are_imported() -> None:
    program = (
        "import sys\n"
        "from dfud.commands.main import main\n"
        "ours = ('dfud.commands.', 'dfud.status_page', 'confluent_kafka')\n"
        "try: main(['status', '/nowhere'])\n"
        "except SystemExit: print(*(name for name in sys.modules if name.startswith(ours)))\n"
        "from dfud.commands.main import COMMANDS, load\n"
        "for name in COMMANDS: load(name)\n"
        "print('rich' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    modules, needs_terminal = done.stdout.splitlines()
    assert needs_terminal == "False"
    assert set(modules.split()) == {
        f"dfud.commands.{name}"
        for name in ("command", "main", "options", "shown_options", "status", "status_text", "status_topics")
    }


def test_exhausted_descriptors_are_reported_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def needy() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    assert run(needy, [], "dfud") == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert line == "dfud: the limits of this process are too low (Too many open files); see ulimit -a"


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DfudError("a\x1b[2J\nb\tc"), "dfud: a\\x1b[2J\nb\tc\n"),
        (UsageError("a\x1b[2J\nb"), "dfud: a\\x1b[2J\\nb\n"),
        (click.ClickException("a\x1b[2J"), "dfud: a\\x1b[2J\n"),
    ],
)
def test_control_characters_in_an_error_are_escaped(
    error: Exception, line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    @click.command()
    def failing() -> None:
        raise error

    run(failing, [], "dfud")
    assert capsys.readouterr().err == line


def test_an_interruption_during_imports_prints_no_traceback(tmp_path: Path) -> None:
    (tmp_path / "click.py").write_text("import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-m", "dfud", "status"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (-signal.SIGINT, "")


def test_ignored_interruptions_stay_ignored() -> None:
    program = "import dfud.__main__, signal; print(repr(signal.getsignal(signal.SIGINT)))"
    command = ["sh", "-c", 'trap "" INT; exec "$@"', "sh", sys.executable, "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == f"{signal.SIG_IGN!r}\n"
