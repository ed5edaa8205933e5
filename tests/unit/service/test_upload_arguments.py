"""The arguments of an upload as a service has them: words that mean the same when the upload reads them again."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.commands.upload import upload
from dfud.service.upload_arguments import parse_instance


def test_releases_are_passed_on_and_may_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("data", "logs", "moved"):
        (tmp_path / name).mkdir()
    (tmp_path / "k.config").write_text("")
    monkeypatch.chdir(tmp_path)
    words = ["data", "--config", "k.config", "--topic_name", "T", "--state_dir", "logs", "--receipts", "R"]
    words += ["--receivers", "b", "--receivers", "a", "--release", "move", "--release_to", "moved"]
    instance = parse_instance("name", upload, [*words, "--release_every", "1.5m", "--release_rehash"])
    assert instance.options == (
        f"--state_dir={tmp_path}/logs", "--receipts=R", "--receivers=a", "--receivers=b", "--release=move",
        f"--release_to={tmp_path}/moved", "--release_every=90s", "--release_rehash",
    )  # fmt: skip
    assert set(instance.written) == {f"{tmp_path}/{name}" for name in ("data", "logs", "moved")}
    again = upload.make_context("upload", [*words[:5], *instance.options])
    assert again.params["release_every"] == 90
