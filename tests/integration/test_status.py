"""``dfud status`` with a real uploader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

WAIT_S = 60.0
DFUD = [sys.executable, "-m", "dfud"]


def status(directory: Path, topic: str) -> dict[str, object]:
    """Return the JSON object of the topic."""
    done = subprocess.run(
        [*DFUD, "status", str(directory), "--topic_name", topic, "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        timeout=WAIT_S,
        check=True,
    )
    (status,) = json.loads(done.stdout)["topics"]
    assert isinstance(status, dict)
    return status


def test_it_follows_an_uploader(tmp_path: Path, config_file: Path, topic: str) -> None:
    directory = tmp_path / "data"
    directory.mkdir()
    for name, size in (("empty", 0), ("small", 10), ("larger", 40_000)):
        (directory / name).write_bytes(b"x" * size)
    command = [*DFUD, "upload", str(directory), "--config", str(config_file), "--topic_name", topic]
    with subprocess.Popen(
        [*command, "--upload_existing"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8"
    ) as uploader:
        try:
            assert uploader.stdout is not None
            assert any("all 3 chunks acknowledged" in line for line in uploader.stdout)
            assert status(directory, topic)["run"] == "running"
            uploader.communicate("quit\n", timeout=WAIT_S)
            assert uploader.returncode == 0
        finally:
            uploader.kill()
    final = status(directory, topic)
    completed = final.pop("completed")
    assert isinstance(completed, dict)
    assert completed.pop("last") is not None
    assert completed == {"files": 3, "size": 40_010}
    assert final == {
        "topic": topic,
        "run": "ended",
        "in_progress": {"files": 0, "size": 0, "chunks": 0, "chunks_to_send": 0},
        "bad_rows": [],
        "to_take_over": [],
    }
