"""The tutorial, word for word, from an empty home on; what it shows is what is printed."""

from __future__ import annotations

import re
import shutil
import signal
from pathlib import Path

import pytest

from dfud.broker import jars
from tests.helpers.documents import ROOT, assert_shown, blocks
from tests.helpers.shells import Terminal
from tests.integration.test_quick_start import ACTIVATE, Open

HOME = "/home/ann"  # in the page
HOST = "laboratory"

BLOCKS = iter(blocks(ROOT / "docs" / "tutorial.md"))


def next_block(language: str) -> str:
    """Return the text of the next block of the page, which is of this language."""
    block = next(BLOCKS)
    assert block.language == language, block.place
    return block.text


@pytest.mark.timeout(600)  # it is an hour's work
def test_the_tutorial_does_what_it_says(terminal: Open, home: Path) -> None:
    def next_shown() -> str:
        shown = next_block("text").replace(HOME, str(home)).replace(HOST, "…")
        return re.sub(r"[+-]\d\d:\d\d$", "…", shown, flags=re.MULTILINE)  # offset from UTC

    def assert_next_is_shown(lines: list[str]) -> None:
        assert_shown(next_shown(), lines)

    def run(block: str, status: int = 0) -> list[str]:
        opened = terminal(f"{ACTIVATE}cd ~\n{block}")
        assert opened.end() == status, opened.lines
        return opened.lines

    def new_lines(opened: Terminal, pattern: str) -> list[str]:
        before = len(opened.lines)
        opened.wait_for(pattern)
        return opened.lines[before:]

    installation = terminal(next_block("sh"))
    assert installation.end() == 0, installation.lines
    assert_next_is_shown(run(next_block("sh")))

    broker = terminal(f"{ACTIVATE}cd ~\n{next_block('sh')}")
    assert_next_is_shown(new_lines(broker, "^Stop it with Ctrl-C"))
    assert_next_is_shown(run(next_block("sh")))

    upload = terminal(f"{ACTIVATE}cd ~\n{next_block('sh')}")
    assert_next_is_shown(new_lines(upload, "^watching"))
    run(next_block("sh"))
    assert_next_is_shown(new_lines(upload, "^image.txt: .* acknowledged"))
    assert upload.process.stdin is not None
    upload.process.stdin.write(next_block("text"))
    upload.process.stdin.flush()
    assert_next_is_shown(new_lines(upload, "enqueued or in progress"))

    status = next_block("sh")
    while not any("run:         running" in line for line in run(status)):
        pass  # the status is some seconds behind
    assert_next_is_shown(run(status))
    assert_next_is_shown(run(next_block("sh")))  # verify
    assert_next_is_shown(run(next_block("sh")))  # download
    run(next_block("sh"))
    assert_next_is_shown(new_lines(upload, "^image.txt: .* acknowledged"))

    assert_next_is_shown(run(next_block("sh"), 75))
    n_before = len(upload.lines)
    assert upload.end(next_block("text")) == 0, upload.lines
    assert_next_is_shown(upload.lines[n_before:])
    run(next_block("sh"))
    assert_next_is_shown(run(next_block("sh")))  # --once
    assert_next_is_shown(run(next_block("sh")))  # once more, and verify

    n_before = len(broker.lines)
    assert broker.end(number=signal.SIGINT) in (0, -signal.SIGINT)
    assert_next_is_shown(broker.lines[n_before:])
    cache = home / ".cache"
    cache.mkdir()
    shutil.copytree(jars.cache_dir(), cache / "dfud", ignore=lambda _folder, names: names)
    run(next_block("sh"))
    assert [path.name for path in home.iterdir() if path.name not in (".cache", "checkout")] == [".local"]
    assert next(BLOCKS, None) is None
