"""``dfud status`` with a real uploader."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.broker.ports import free_ports
from dfud.demo.reader import read_topic
from dfud.logs import upload_status
from tests.helpers.json_schema import Schema
from tests.helpers.stopping import stopped_process
from tests.helpers.uploading import Upload, command, uploading, wait_until

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
    told = final.pop("status")
    assert isinstance(told, dict)
    assert (told["state"], told["exit_status"], told["completed"]["files"]) == ("ended", 0, 3)
    assert told["acknowledged"] == {"bytes": 40_010, "chunks": 5}
    completed = final.pop("completed")
    assert isinstance(completed, dict)
    assert completed.pop("last") is not None
    assert completed == {"files": 3, "versions": 3, "size": 40_010}
    assert final == {
        "topic": topic,
        "run": "ended",
        "in_progress": {"files": 0, "versions": 0, "size": 0, "chunks": 0, "chunks_to_send": 0},
        "bad_rows": [],
        "to_take_over": [],
    }


SCHEMA = Schema(Path(upload_status.__file__).with_suffix(".schema.json"))


def checked(directory: Path, topic: str) -> tuple[int, str]:
    """Return the exit status and the output of --check; whatever the status file says, the schema has it."""
    file = directory / "LOGS" / f"upload_to_{topic}_status.json"
    if file.exists():
        assert SCHEMA.violations(json.loads(file.read_bytes())) == []
    done = subprocess.run(
        [*DFUD, "status", str(directory), "--check", "--space_warning", "0", "--space_critical", "0"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        timeout=WAIT_S,
        check=False,
    )
    return done.returncode, done.stdout


def wait_for_check(directory: Path, topic: str, level: int, text: str) -> str:
    """Return the output of --check as soon as it has this exit status and text."""

    def answer() -> str:
        status, out = checked(directory, topic)
        return out if status == level and text in out else ""

    return wait_until(answer)


def test_check_tells_a_broker_that_stops_and_goes_on_and_an_upload_that_is_killed(
    directory: Path, own_config: Path, own_kafka: KafkaNode, own_topic: str
) -> None:
    topic = own_topic
    with uploading(directory, own_config, topic) as upload:
        (directory / "before").write_bytes(b"x" * 100)
        wait_for_check(directory, topic, 0, "DFUD OK - running, idle, 1 file completed | ")
        with stopped_process(own_kafka.pid):
            (directory / "meanwhile").write_bytes(b"x" * 200)
            out = wait_for_check(directory, topic, 2, "DFUD CRITICAL - broker unreachable for ")
            assert "backlog_files=1;;;0 backlog_bytes=200B;;;0" in out
        wait_for_check(directory, topic, 0, "DFUD OK - running, idle, 2 files completed | ")
        upload.kill()
        wait_for_check(directory, topic, 2, "DFUD CRITICAL - not running: killed, or ended by an error, about ")


def test_check_tells_an_upload_whose_broker_was_never_there(directory: Path, tmp_path: Path) -> None:
    config = client_config.write(tmp_path / "kafka.config", f"localhost:{free_ports(1)[0]}")
    upload = Upload(command(directory, config, "T"))
    try:
        out = wait_for_check(directory, "T", 2, "DFUD CRITICAL - broker unreachable for ")
        assert "no broker reached at localhost:" in out
        upload.say("quit")
        upload.end()
        wait_for_check(directory, "T", 2, "DFUD CRITICAL - not running: ended ")
    finally:
        upload.close()


def test_the_canary_tells_of_a_lane_that_does_nothing(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    canaries = f"{topic}_canary"
    with uploading(directory, config_file, topic, "--canary", "1") as upload:
        wait_for_check(directory, topic, 0, " canary=0.")
        values = [json.loads(message.value or b"") for message in read_topic(kafka.bootstrap, canaries)]
        assert {(value["topic"], value["directory"]) for value in values} == {(topic, str(directory))}
        assert min(value["canary"] for value in values) >= 1  # the first may have been replaced before it was read
        producer = upload.wait_for_worker("producer-1")
        producer.suspend()
        cause = "the canary has not come round: chunker-1 has not read it, or producer-1 not delivered it"
        wait_for_check(directory, topic, 2, cause)
        wait_for_check(directory, topic, 2, "producer-1 was stopped by a signal: kill -CONT ")
        producer.resume()
        wait_for_check(directory, topic, 0, "DFUD OK")
        text = upload.quit()
    assert cause in text
