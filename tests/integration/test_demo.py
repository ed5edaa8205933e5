"""The demonstration end to end, as a user runs it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from dfud.broker.node import KafkaNode
from dfud.demo.show import Place, there_and_back

DEMO = [sys.executable, "-m", "dfud", "demo"]
WAIT_S = 90.0


def test_the_demo_passes_and_leaves_no_files(tmp_path: Path) -> None:
    done = subprocess.run(
        DEMO,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(tmp_path)},
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert list(tmp_path.iterdir()) == []

    written = re.search(r"^([\d,]+) files in \d+ folders", done.stdout, re.MULTILINE)
    same = re.search(r"([\d,]+) of ([\d,]+) files are byte for byte the same", done.stdout)
    assert written is not None
    assert same is not None
    assert same[1] == same[2] == written[1]
    assert int(written[1].replace(",", "")) >= 1000
    assert done.stdout.count("all files detected are on the topic and recorded") == 2
    assert "\n0 messages were sent.\n" in done.stdout
    assert re.search(r"^From start to exit of the command: [\d.]+ s, \d+ MB/s", done.stdout, re.MULTILINE)


def test_a_signal_ends_it_and_leaves_no_files_or_processes(tmp_path: Path) -> None:
    with subprocess.Popen(
        DEMO,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        encoding="utf-8",
        env={**os.environ, "TMPDIR": str(tmp_path)},
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stderr is not None
            if not any(line.startswith("uploading ") for line in process.stdout):
                pytest.fail(f"it ended before the upload: {process.stderr.read()}")
            started = psutil.Process(process.pid).children(recursive=True)
            assert len(started) >= 3  # Kafka, the upload and its workers
            process.send_signal(signal.SIGTERM)
            process.stdout.read()
            assert process.wait(WAIT_S) == 1
            assert process.stderr.read() == "dfud: interrupted\n"
        finally:
            process.kill()
    assert list(tmp_path.iterdir()) == []
    assert psutil.wait_procs(started, timeout=WAIT_S)[1] == []


@pytest.mark.parametrize(
    ("upload", "failure"),
    [
        pytest.param("true", "b'back\\\\slash.dat' is not on the topic", id="uploads-nothing"),
        pytest.param("false", "the upload exited with status 1", id="fails"),
    ],
)
def test_missing_files_fail_the_demo(
    tmp_path: Path, kafka: KafkaNode, config_file: Path, upload: str, failure: str
) -> None:
    lines: list[str] = []
    place = Place(tmp_path / "data", config_file, kafka.bootstrap, f"demo_{upload}")
    assert not there_and_back(lines.append, place, dfud=[upload])
    assert f"FAILED: {failure}" in lines
    assert not any(line.startswith("Passed") for line in lines)
