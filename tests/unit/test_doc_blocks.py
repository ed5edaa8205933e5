"""What the documents have users type and write is accepted: commands, programs and files."""

from __future__ import annotations

import configparser
import json
import re
from pathlib import Path

import click
import pytest

from dfud.commands.main import dfud
from dfud.kafka.config import read_config
from tests.helpers.documents import DOCUMENTS, SHELL, Block, blocks, dfud_commands

BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
NOT_HERE = "cannot be read"  # what is said of the files that a configuration names


def of(*languages: str) -> pytest.MarkDecorator:
    chosen = [pytest.param(block, id=block.place) for block in BLOCKS if block.language in languages]
    return pytest.mark.parametrize("block", chosen)


class AnyVariable(dict[str, str]):
    """An environment in which every variable is set."""

    def __contains__(self, name: object) -> bool:
        return name != "OPENMSISTREAM_CONFIG_FILE_DIR"

    def __missing__(self, name: str) -> str:
        return "1"

    def get(self, name: str, default: str | None = None) -> str | None:  # type: ignore[override]
        return self[name] if name in self else default  # noqa: SIM401 (this is what get does)


def accept(words: list[str], folder: Path) -> None:
    """Have click parse a command, in a folder that stands for all that have to exist."""
    command: click.Command = dfud
    path = "dfud"
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, *words = words
        found = command.get_command(click.Context(command), name)
        assert found is not None, f"{path} has no command {name}"
        command, path = found, f"{path} {name}"
    if "--state_dir" in words:
        words[words.index("--state_dir") + 1] = str(folder)
    words = [re.sub(r"\$(\w+|{\w+})", "1", word) for word in words]  # a variable of the shell
    if {"-h", "--help", "-V", "--version"} & set(words):
        return
    context = command.make_context(path, words)
    arguments = context.params.get("arguments")  # of an instance
    if arguments:
        accept(["upload", *arguments], folder)


def test_there_is_something_to_check() -> None:
    assert len([words for block in BLOCKS if block.language in SHELL for words in dfud_commands(block)]) > 20


@of(*SHELL)
def test_each_command_is_accepted(block: Block, tmp_path: Path) -> None:
    for words in dfud_commands(block):
        try:
            accept(words, tmp_path)
        except click.ClickException as error:
            pytest.fail(f"dfud {' '.join(words)}: {error.format_message()}")


@of("python")
def test_each_program_compiles(block: Block) -> None:
    compile(block.text, block.place, "exec")


@of("json")
def test_each_json_text_can_be_read(block: Block) -> None:
    json.loads(block.text)


@of("yaml")
def test_each_yaml_text_can_be_read(block: Block) -> None:
    yaml = pytest.importorskip("yaml")
    assert yaml.safe_load(block.text)


@of("ini")
def test_each_configuration_is_one_that_dfud_takes(block: Block, tmp_path: Path) -> None:
    parser = configparser.RawConfigParser(strict=False, allow_no_value=True)
    parser.read_string(block.text)
    if not {"broker", "producer", "consumer"} & set(parser.sections()):
        return  # of another program
    is_part = not parser.has_option("broker", "bootstrap.servers")
    file = tmp_path / "kafka.config"
    rest = "[broker]\nbootstrap.servers = kafka:9092\n" if is_part else ""
    file.write_text(rest + block.text, encoding="utf-8")
    for client in ("producer", "consumer"):
        faults: list[str] = []
        warnings = read_config(str(file), client, AnyVariable(), faults.append).warnings
        assert [fault for fault in faults if NOT_HERE not in fault] == []
        assert warnings == ()
