"""Reading a topic in Python, in Java and with kcat."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from dfud.broker import jars
from dfud.broker.node import KafkaNode
from tests.howto.page import Open, Page, Run, assert_shown


def test_in_python(home: Path, uploaded: Path, run: Run, kafka: KafkaNode) -> None:
    page = Page("read-in-python", kafka.bootstrap)
    for name, text, command, shown in zip(
        ("read.py", "consume.py"), page.blocks("python"), page.blocks("sh"), page.blocks("text"), strict=True
    ):
        (home / name).write_text(text)
        assert_shown(shown, run(command))


def test_in_java(home: Path, uploaded: Path, run: Run, kafka: KafkaNode) -> None:
    if shutil.which("javac") is None:
        pytest.skip("there is no javac")
    page = Page("read-in-java", kafka.bootstrap)
    (program,), (command,), (shown,) = map(page.blocks, ("java", "sh", "text"))
    (home / "ReadFiles.java").write_text(program)
    assert_shown(shown, run(command, CLASSPATH=os.pathsep.join(map(str, jars.resolve_kafka()))))


def test_with_kcat(uploaded: Path, run: Run, terminal: Open, kafka: KafkaNode) -> None:
    if shutil.which("kcat") is None:
        pytest.skip("there is no kcat")
    page = Page("read-with-kcat", kafka.bootstrap)
    headers, names, content, watch = page.blocks("sh")
    shown_headers, shown_content = page.blocks("text")
    assert_shown(shown_headers, run(headers))
    (line,) = run(names)
    assert line.startswith("image.txt ")
    assert len(line.split()[1]) == 32
    assert_shown(shown_content, run(content))
    watching = terminal(watch)
    write = (
        'echo "second light" > run42/second.txt; dfud upload run42 --config kafka.config --topic_name run42 --once'
    )
    run(f"sleep 3; {write}")  # kcat does not say since when it waits
    watching.wait_for("^second.txt ")
