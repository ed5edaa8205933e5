"""``dfud fleet``: what it refuses before it asks a broker, and that it goes on when one is away."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import pytest

from dfud.commands.fleet import _watch
from dfud.commands.main import load, run
from dfud.errors import DfudError
from dfud.fleet.reading import FleetReader
from dfud.fleet.snapshot import Snapshot

OPTIONS = ("--config", "{}", "--heartbeat_topic_name", "H")


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--json", "--check"), "only --html and --metrics_file go together"),
        (("--html", "page.html", "--json"), "only --html and --metrics_file go together"),
        (("--check", "--watch"), "use it without --watch"),
        (("--html", "page.txt"), "its name must end in .html"),
        (("--metrics_file", "m.txt"), "its name must end in .prom"),
        (("--html", "-", "--watch"), "name a file to use it with --watch"),
        (("--html", "/nowhere/page.html"), "cannot write --html /nowhere/page.html"),
        (("--since", "0"), "0.1"),
        (("--receipts", "a b"), "not a name that Kafka allows"),
    ],
)
def test_usage_that_is_refused(
    options: tuple[str, ...], text: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = tmp_path / "kafka.config"
    config.write_text("[broker]\nbootstrap.servers = 127.0.0.1:9\n")
    words = [each.format(config) for each in OPTIONS]
    assert run(load("fleet"), [*words, *options], "dfud fleet") == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


class FakeReader:
    """A reader of which each look ends as it was said beforehand."""

    def __init__(self, *ends: BaseException | None) -> None:
        self.ends = list(ends)

    def read(self) -> str:
        end = self.ends.pop(0)
        if end is not None:
            raise end
        return "a fleet"


def watch(*ends: BaseException | None) -> tuple[int, list[Snapshot]]:
    shown: list[Snapshot] = []
    status = _watch(cast("FleetReader", FakeReader(*ends)), shown.append, 0.0)
    return status, shown


def test_it_goes_on_when_a_broker_is_away_and_says_so_once(capsys: pytest.CaptureFixture[str]) -> None:
    away = DfudError("cannot read \x1b[2J")
    status, shown = watch(None, away, away, None, away, KeyboardInterrupt())
    assert (status, len(shown)) == (0, 2)
    assert capsys.readouterr().err == "dfud fleet: cannot read \\x1b[2J; retrying\n" * 2


def test_what_is_wrong_at_the_first_look_ends_it() -> None:
    with pytest.raises(DfudError):
        watch(DfudError("no such topic"))
