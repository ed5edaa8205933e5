"""What ``dfud release`` refuses before it asks a broker."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.commands.main import load, run
from dfud.errors import EXIT_USAGE

COMMON = ["--config", "none", "--topic_name", "t", "--receipts", "r"]


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (["--receivers", "a", "--yes"], "--yes does not say what is to be done"),
        (["--receivers", "a", "--delete", "--yes", "--dry_run"], "--yes and --dry_run exclude each other"),
        (["--receivers", "a", "--delete", "--to", "/x"], "--delete and --to exclude each other"),
        (["--receivers", "a", "--receivers", "2"], "give either the number of receivers, once, or their names"),
        (["--receivers", "0"], "0 is not a number of receivers"),
        (["--receivers", ""], "'' cannot be the name of a receiver: it is empty"),
        (["--receivers", "a", "--older_than", "soon"], "'soon' is not a duration such as"),
        (["--receivers", "a", "--keep_free", "100"], "100"),
        ([], "Missing option '--receivers'"),
    ],
)
def test_bad_usage_is_one_line(
    tmp_path: Path, options: list[str], text: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(load("release"), [str(tmp_path), *COMMON, *options], "dfud release") == EXIT_USAGE
    (line,) = capsys.readouterr().err.splitlines()
    assert text in line


def test_a_directory_must_have_been_uploaded(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "kafka.config"
    config.write_text("[broker]\nbootstrap.servers = 127.0.0.1:1\n")
    words = [str(tmp_path), "--config", str(config), *COMMON[2:], "--receivers", "2"]
    assert run(load("release"), words, "dfud release") == EXIT_USAGE
    assert "no upload of" in capsys.readouterr().err
