"""What the Python API shows of the command that it runs."""

from __future__ import annotations

from pathlib import Path

import pytest

import dfud


def test_control_characters_are_escaped(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(dfud.UsageError) as error:
        dfud.upload(tmp_path / "\x1b[2J", "no.config", "topic")
    out, err = capfd.readouterr()
    assert (str(error.value) + out + err).replace("\n", "").isprintable()
    assert "\\x1b[2J does not exist" in out
