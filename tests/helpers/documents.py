"""The documents, the blocks of code in them, and the commands of dfud in these blocks."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePath
from typing import NamedTuple

from dfud.commands.main import COMMANDS

ROOT = Path(__file__).resolve().parents[2]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
SHELL = ("sh", "bash", "console", "crontab")
PROMPT = "$ "

_ALIASES = {"DataFileUploadDirectory": "upload", "DataFileDownloadDirectory": "download"}
_FENCE = re.compile(r"^( *)```(\w+)\n(.*?)^\1```$", re.MULTILINE | re.DOTALL)
_PREFIXES = {"sudo": 0, "env": 0, "exec": 0, "nice": 0, "nohup": 0, "time": 0, "timeout": 1}  # words that follow
_WITH_VALUE = ("-u", "-n")  # options of these
_HERE_DOCUMENT = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_N_CRON_FIELDS = 5


class Block(NamedTuple):
    """A fenced block of code."""

    document: Path
    line: int  # of its fence
    language: str
    text: str

    @property
    def place(self) -> str:
        """Where it is, for the name of a test."""
        return f"{self.document.relative_to(ROOT)}:{self.line}"


def blocks(document: Path) -> Iterator[Block]:
    """Yield the blocks of a document that have a language."""
    text = document.read_text(encoding="utf-8")
    for match in _FENCE.finditer(text):
        indent, language, inside = match.groups()
        lines = [line[len(indent) :] for line in inside.splitlines(keepends=True)]
        yield Block(document, text.count("\n", 0, match.start()) + 1, language, "".join(lines))


def typed(block: Block) -> str:
    """Return what is typed: all of a script, and of what a terminal shows the lines after a prompt."""
    if block.language != "console":
        return block.text
    lines: list[str] = []
    for line in block.text.splitlines(keepends=True):
        if line.startswith(PROMPT):
            lines.append(line[len(PROMPT) :])
        elif lines and lines[-1].endswith("\\\n"):
            lines.append(line)
    return "".join(lines)


def dfud_commands(block: Block) -> Iterator[list[str]]:
    """Yield the words of each command of dfud that a block of a shell has, less the program: ["upload", …]."""
    for command in _simple_commands(typed(block)):
        words = command[_N_CRON_FIELDS:] if block.language == "crontab" else _without_prefixes(command)
        for n, word in enumerate(words):
            name, following = PurePath(word).name, words[n + 1 :]
            if name in _ALIASES and n == 0:
                yield [_ALIASES[name], *following]
            elif name == "dfud" and (n == 0 or (following and following[0] in COMMANDS)):
                yield following


def _without_prefixes(words: list[str]) -> list[str]:
    while words:
        if words[0] in _PREFIXES:
            n_values = _PREFIXES[words[0]]
            words = words[1:]
            while words and words[0].startswith("-"):
                words = words[2 if words[0] in _WITH_VALUE else 1 :]
            words = words[n_values:]
        elif re.match(r"\w+=", words[0]):
            words = words[1:]
        else:
            break
    return words


def _simple_commands(script: str) -> Iterator[list[str]]:
    """Yield the words of each simple command of a script, without redirections."""
    lines = iter(script.replace("\\\n", " ").splitlines())
    for first in lines:
        line, words = first, _words(first)
        while words is None:  # a quotation that goes on
            line = f"{line}\n{next(lines)}"
            words = _words(line)
        yield from _split(words)
        here = _HERE_DOCUMENT.search(line)
        while here is not None and next(lines) != here[1]:
            pass


def _words(line: str) -> list[str] | None:
    """Return the words and operators of a line; None if a quotation does not end in it."""
    lexer = shlex.shlex(line, posix=True, punctuation_chars="();<>|&")
    try:
        return list(lexer)
    except ValueError:
        return None


def _split(words: list[str]) -> Iterator[list[str]]:
    command: list[str] = []
    is_target = False  # of a redirection
    for word in words:
        if set(word) <= set("();|&"):
            yield command
            command = []
        elif set(word) <= set("<>"):
            is_target = True
        elif is_target:
            is_target = False
        elif word != "$":
            command.append(word)
    yield command


def assert_shown(expected: str, lines: Sequence[str]) -> None:
    """Check that a program has printed the lines of a page, in this order; others may be between them.

    ``…`` stands for anything, and a number for any number.
    """
    printed = iter(lines)
    for line in filter(str.strip, expected.splitlines()):
        pattern = ".*".join(re.sub(r"\d+", r"\\d+", re.escape(part)) for part in line.split("…"))
        assert any(re.fullmatch(pattern, each) for each in printed), f"no line {line!r} in {list(lines)}"
