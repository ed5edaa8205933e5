"""``dfud seal``: a marker as an instrument would write it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from dfud.commands.main import run
from dfud.commands.seal import seal
from dfud.core.run_markers import RunMarkers

Capture = pytest.CaptureFixture[str]


def test_the_marker_is_written_and_replaced(tmp_path: Path, capsys: Capture) -> None:
    assert run(seal, [str(tmp_path)], "dfud seal") == 0
    marker = tmp_path / "seal.dfud"
    before = marker.stat()
    assert json.loads(marker.read_text()).keys() == {"sealed", "host"}
    out, err = capsys.readouterr()
    assert (out, err) == (f"{marker} is written: an upload with --run_marker seal.dfud seals the run\n", "")
    assert run(seal, [str(tmp_path)], "dfud seal") == 0
    assert marker.stat().st_mtime_ns > before.st_mtime_ns  # another version
    assert RunMarkers(["seal.dfud"]).matches(b"run7/seal.dfud")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["missing"], "No such file"),
        (["file"], "Not a directory"),
        ([".", "--run_marker", "a/b"], "is not the name of a file"),
        ([".", "--run_marker", "*Complete.txt"], "is not the name of a file"),
        ([".", "--run_marker", ".."], "is not the name of a file"),
    ],
)
def test_what_is_refused(
    tmp_path: Path, capsys: Capture, monkeypatch: pytest.MonkeyPatch, arguments: list[str], words: str
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    assert run(seal, arguments, "dfud seal") == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_a_link_in_the_place_of_the_marker_is_replaced(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "other").write_text("kept")
    (tmp_path / "run" / "seal.dfud").symlink_to(tmp_path / "other")
    assert run(seal, [str(tmp_path / "run")], "dfud seal") == 0
    assert (tmp_path / "other").read_text() == "kept"
