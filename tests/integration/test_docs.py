"""The programs in the documents do what the documents say."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.downloading import Record, native, produce
from tests.helpers.topics import delete_before

WAIT_S = 60.0
NOW = 1_700_000_000_123_456_789  # ns
DOCS = Path(__file__).resolve().parents[2] / "docs"
FILES = {b"empty": b"", b"sub/two chunks": b"x" * 20_000, b"n\xff\xc3\xa4her;": b"some bytes"}


def program(document: str) -> str:
    """Return the one Python program of a document."""
    (text,) = re.findall(r"^```python\n(.*?)^```$", (DOCS / document).read_text(), re.MULTILINE | re.DOTALL)
    assert isinstance(text, str)
    return text


@pytest.fixture
def uploaded(tmp_path: Path, config_file: Path, topic: str) -> Path:
    """Upload a directory to the topic and return it."""
    directory = tmp_path / "data"
    (directory / "sub").mkdir(parents=True)
    for path, data in FILES.items():
        with open(bytes(directory) + b"/" + path, "wb") as file:
            file.write(data)
    upload = ["upload", str(directory), "--config", str(config_file), "--topic_name", topic, "--once"]
    subprocess.run([sys.executable, "-m", "dfud", *upload], stdout=subprocess.DEVNULL, timeout=WAIT_S, check=True)
    return directory


def run(text: str, *arguments: str, folder: Path, status: int = 0, is_sorted: bool = True) -> list[str]:
    """Run a program in a folder; return the lines that it prints."""
    process = subprocess.run(
        [sys.executable, "-c", text, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        encoding="utf-8",
        timeout=WAIT_S,
        check=False,
    )
    assert process.returncode == status
    return sorted(process.stdout.splitlines()) if is_sorted else process.stdout.splitlines()


def test_the_reader_reads_a_topic(uploaded: Path, kafka: KafkaNode, topic: str) -> None:
    lines = run(program("messages.md"), kafka.bootstrap, topic, folder=uploaded)
    assert lines == sorted(f"{len(data)} {path!r}" for path, data in FILES.items())


def test_the_reader_copes_with_what_topics_have(
    kafka: KafkaNode, make_topic: Callable[..., str], tmp_path: Path
) -> None:
    topic, reader = make_topic(1), program("messages.md")
    a, b = native(b"file", b"a" * 2500, NOW), native(b"file", b"b" * 2500, NOW - 1)
    records = [
        Record(None, b"foreign", []), Record(b"key", None, [("header", b"x")]), *native(b"empty", b"", NOW),
        *a, *b[:2], *a[1:], *b, *a, *a[:2],
    ]  # fmt: skip
    produce(kafka.bootstrap, topic, records)
    lines = run(reader, kafka.bootstrap, topic, folder=tmp_path, is_sorted=False)
    assert lines == ["0 b'empty'", *["2500 b'file'"] * 3]
    two_sizes = [native(b"resumed", b"x" * 2500, NOW, size) for size in (1000, 500)]
    produce(kafka.bootstrap, topic, [*two_sizes[0][:2], *two_sizes[1]])
    assert run(reader, kafka.bootstrap, topic, folder=tmp_path, is_sorted=False)[-1] == "2500 b'resumed'"
    produce(kafka.bootstrap, topic, native(b"begun", b"x" * 2500, NOW)[:2])
    delete_before(kafka, topic, len(records) + 3)  # the first chunks of the file that was resumed
    lines = run(reader, kafka.bootstrap, topic, folder=tmp_path, status=1, is_sorted=False)
    assert lines == ["incomplete b'begun'", "incomplete b'resumed'"][::-1]


def test_the_completed_table_is_read(uploaded: Path, topic: str) -> None:
    text = program("tables.md").replace("uploaded_to_T.csv", f"uploaded_to_{topic}.csv")
    lines = run(text, folder=uploaded)
    assert [line.rpartition(" ")[0] for line in lines] == sorted(map(repr, FILES))


def test_a_killed_reader_leaves_a_multiprocessing_queue_locked(tmp_path: Path) -> None:
    assert run(program("design.md"), folder=tmp_path) == ["nobody can read this queue any more"]
