"""The help texts, what is suggested in place of what is misspelt, and what a shell completes."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence

import click
import pytest

from dfud import __version__
from dfud.commands.command import Command, Group
from dfud.commands.main import COMMANDS, dfud, load, run

Capture = pytest.CaptureFixture[str]


def all_commands(command: click.Command, *path: str) -> Iterator[tuple[str, ...]]:
    """Yield the names that lead to each command below `command`."""
    yield path
    if isinstance(command, click.Group):
        for name in command.list_commands(click.Context(command)):
            child = command.get_command(click.Context(command), name)
            assert child is not None
            yield from all_commands(child, *path, name)


PATHS = [pytest.param(path, id=" ".join(("dfud", *path))) for path in all_commands(dfud)]


def help_of(capsys: Capture, *path: str) -> str:
    """Return the help text of a command."""
    assert run(dfud, [*path, "-h"], "dfud") == 0
    return capsys.readouterr().out


def command_at(path: Sequence[str]) -> click.Command:
    """Return the command to which the names lead."""
    command: click.Command = dfud
    for name in path:
        assert isinstance(command, click.Group)
        child = command.get_command(click.Context(command), name)
        assert child is not None
        command = child
    return command


def test_the_options_of_the_upload_are_in_groups(capsys: Capture) -> None:
    text = help_of(capsys, "upload")
    groups = re.findall(r"^(\S.*):$", text, re.MULTILINE)
    assert groups == [
        "Files and topic",
        "When",
        "Speed",
        "Receipts",
        "Releasing",
        "Console and log",
        "Monitoring",
        "Heartbeats and log messages, as in OpenMSIStream",
        "Other options",
        "Examples",
    ]
    speed = text.partition("\nSpeed:\n")[2].partition("\n\n")[0]
    assert re.findall(r"--\w+ [A-Z]+", speed) == ["--n_threads N", "--chunk_size BYTES", "--queue_max_size MB"]
    assert re.findall(r"\[default: ([^]]*)\]", " ".join(speed.split())) == ["2; 1 to 64", "16384", "500"]
    assert "[debug|info|warning|error|critical|N]" in text


@pytest.mark.parametrize("command", COMMANDS)
def test_one_spelling_is_shown_and_each_option_once(capsys: Capture, command: str) -> None:
    shown = re.findall(r"^  (?:-\w, )?(--[\w-]+)", help_of(capsys, command), re.MULTILINE)
    assert [name for name in shown if "-" in name[2:]] == []
    assert len(shown) == len(set(shown))
    hidden = {each.opts[0] for each in load(command).params if getattr(each, "hidden", False)}
    options = {each.opts[0] for each in load(command).params if isinstance(each, click.Option)}
    assert set(shown) - {"--help"} == options - hidden


@pytest.mark.parametrize("path", PATHS)
def test_no_value_is_just_text(capsys: Capture, path: Sequence[str]) -> None:
    assert not re.search("TEXT|INTEGER|FLOAT|RANGE|<=|>=", help_of(capsys, *path))


@pytest.mark.parametrize("path", PATHS)
def test_each_help_ends_with_examples_that_are_accepted(capsys: Capture, path: Sequence[str]) -> None:
    command = command_at(path)
    assert isinstance(command, (Command, Group))
    assert 1 <= len(command.examples) <= 3
    text = help_of(capsys, *path)
    for example in command.examples:
        line = " ".join(("dfud", *path, example.arguments)).strip()
        assert f"  {example.what}:\n    {line}\n" in text  # in one piece, to be copied
        target: click.Command = command
        words = shlex.split(re.split("[|>&]", example.arguments)[0])
        names = list(path)
        while isinstance(target, click.Group) and words and not words[0].startswith("-"):
            names.append(words.pop(0))
            target = command_at(names)
        if "-h" not in words:
            target.make_context("dfud", words)


def test_an_alias_shows_its_own_name(capsys: Capture) -> None:
    assert run(load("upload"), ["-h"], "DataFileUploadDirectory") == 0
    text = capsys.readouterr().out
    assert text.startswith("Usage: DataFileUploadDirectory [OPTIONS] DIR\n")
    assert "\n    DataFileUploadDirectory /data/run42 --config kafka.config --topic_name run42\n" in text


@pytest.mark.parametrize(
    ("words", "meant"),
    [
        (["uplaod"], "upload"),
        (["Verify"], "verify"),
        (["service", "instal"], "install"),
        (["upload", ".", "--topic", "t"], "--topic_name"),
        (["upload", ".", "--topik_name", "t"], "--topic_name"),
        (["upload", ".", "--topik-name", "t"], "--topic-name"),
        (["download", ".", "--ones"], "--once"),
        (["status", ".", "--jason"], "--json"),
        (["broker", "--prot", "1"], "--port"),
        (["--versoin"], "--version"),
        (["upload", ".", "--producer_topic_nam", "t"], "--log_topic_name"),  # nothing that the help does not show
    ],
)
def test_what_may_be_meant_is_suggested(capsys: Capture, words: list[str], meant: str) -> None:
    assert run(dfud, words, "dfud") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert re.search(rf"No such .*Did you mean '?{meant}'?\? \(see ", line)


def test_nothing_is_suggested_for_what_is_like_nothing(capsys: Capture) -> None:
    assert run(dfud, ["xyzzy"], "dfud") == run(dfud, ["upload", "--xyzzy"], "dfud") == 2
    assert "mean" not in capsys.readouterr().err


@pytest.mark.parametrize("spelling", ["-V", "--version"])
@pytest.mark.parametrize("command", [None, *COMMANDS])
def test_each_command_prints_the_version(capsys: Capture, command: str | None, spelling: str) -> None:
    assert run(dfud, [*([command] if command else []), spelling], "dfud") == 0
    assert capsys.readouterr().out == f"dfud, version {__version__}\n"


@pytest.mark.parametrize(
    ("begun", "values"),
    [
        ("--topic", ["--topic_name"]),
        ("--topic-", ["--topic-name"]),
        ("--qu", ["--queue_max_size", "--quiet"]),
    ],
)
def test_a_shell_completes_the_spelling_that_was_begun(begun: str, values: list[str]) -> None:
    upload = load("upload")
    items = upload.shell_complete(click.Context(upload, resilient_parsing=True), begun)
    assert sorted(item.value for item in items) == values
