"""Uploads from cron, of large and of many files, of many directories, and how they are watched."""

from __future__ import annotations

import shlex
import subprocess
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from benchmarks.peers.java import TOOLS
from dfud.broker import jars, java
from dfud.broker.node import KafkaNode
from dfud.broker.ports import free_ports
from dfud.errors import BrokerError
from tests.helpers.uploading import completed, wait_until
from tests.howto.page import Open, Page, Run, assert_shown

WAIT_S = 120.0


def test_from_cron(home: Path, run: Run, kafka: KafkaNode) -> None:
    page = Page("cron", kafka.bootstrap)
    by_hand, line_of_cron, check = page.blocks("sh")
    shown, shown_by_check = page.blocks("text")
    (home / "run42").mkdir()
    (home / "run42" / "image.txt").write_text("first light\n")
    assert_shown(shown, run(by_hand))
    (line,) = run(line_of_cron)
    *times, command = line.split(" ", 5)
    assert times == ["*/5", "*", "*", "*", "*"]
    (home / "run42" / "second.txt").write_text("second light\n")
    # This is all that cron gives to a command.
    done = subprocess.run(
        ["/bin/sh", "-c", command], cwd="/", env={"HOME": str(home), "PATH": "/usr/bin:/bin"},
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (0, b"")  # so there is nothing to mail
    assert {row["rel_filepath"] for row in completed(home / "run42", "run42")} == {"image.txt", "second.txt"}
    assert_shown(shown_by_check, run(check))


def test_large_files(home: Path, programs: Path, run: Run, terminal: Open, kafka: KafkaNode) -> None:
    try:
        class_path = ":".join(map(str, jars.resolve(TOOLS)))
    except BrokerError as error:
        pytest.skip(f"no tools of Kafka: {error}")
    topics = programs / "kafka-topics.sh"
    words = [java.find_java(), "-cp", class_path, "org.apache.kafka.tools.TopicCommand"]
    topics.write_text(f'#!/bin/sh\nexec {shlex.join(map(str, words))} "$@"\n')
    topics.chmod(0o755)
    page = Page("large-files", kafka.bootstrap)
    create, doctor, upload = page.blocks("sh")
    (refusal,) = page.blocks("text")
    run("mkdir run42; head -c 5000000 /dev/urandom > run42/movie.tif")
    refused = terminal(upload)
    assert refused.end() == 2
    assert_shown(refusal, refused.lines)
    run(
        "dfud upload run42 --config kafka.config --topic_name other --once"
    )  # the topic exists now, and is deleted
    run(create.replace("--create", "--delete").partition(" --partitions")[0])
    run(create)
    run(doctor)
    running = terminal(upload)
    running.wait_for("movie.tif: all 5 chunks acknowledged")
    assert running.end("quit\n") == 0


def test_many_small_files(home: Path, run: Run, terminal: Open, kafka: KafkaNode) -> None:
    page = Page("many-small-files", kafka.bootstrap)
    (config,), (shown,) = map(page.blocks, ("ini", "text"))
    doctor, upload, write, status = page.blocks("sh")
    (home / "kafka.config").write_text(config)
    running = terminal("mkdir run42\n" + upload)
    running.wait_for("watching 1 folder")
    assert_shown(shown, run(doctor))
    run(write)
    assert running.end("quit\n") == 0
    assert_shown("completed:   10,000 files", run(status))


def test_many_instruments(home: Path, run: Run, terminal: Open, kafka: KafkaNode) -> None:
    page = Page("many-instruments", kafka.bootstrap)
    make, microscope, xrd, statuses, beating, fleet, services, share = page.blocks("sh")
    assert "dfud service install --system" in services  # which is run for the page about services
    run(make)
    uploads = [terminal(microscope), terminal(xrd)]
    for upload in uploads:
        upload.wait_for("watching 1 folder")
    run("echo first > microscope/scan.h5; echo second > xrd/scan.h5")
    for upload in uploads:
        upload.wait_for("scan.h5: 1 chunk acknowledged")
    lines = run(statuses)
    assert len(lines) == 2
    assert all(line.startswith("DFUD OK - ") for line in lines)
    for upload in uploads:
        assert upload.end("quit\n") == 0
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap})
    admin.create_topics([NewTopic("heartbeats", 1, 1)])["heartbeats"].result(30)
    upload = terminal(beating)
    upload.wait_for("watching 1 folder")
    wait_until(lambda: "1 upload: 1 alive" in run(fleet)[0])
    assert upload.end("quit\n") == 0
    assert "1 upload: 1 ended; nothing waits" in run(fleet)[0]
    run(share)
    assert (home / "copy" / "scan.h5").read_text() == "first\n"


def test_delete_at_the_instrument(uploaded: Path, run: Run, terminal: Open, kafka: KafkaNode) -> None:
    page = Page("delete-at-the-instrument", kafka.bootstrap)
    receive, list_all, delete, upload, upload_once, doctor, look, delete_same, verify = page.blocks("sh")
    listed, released, kept, same, missing = page.blocks("text")

    def left() -> list[str]:
        return sorted(path.name for path in uploaded.iterdir())

    (uploaded / "new.txt").write_text("not on the topic")
    run(receive)
    assert_shown(listed, run(list_all))
    run(delete)
    assert left() == ["LOGS", "new.txt"]
    running = terminal(upload.replace("keep_free 10", "keep_free 99.9"))
    running.wait_for("percent of the file system are free still|new.txt: 1 chunk acknowledged")
    running.wait_for("percent of the file system are free still|new.txt: 1 chunk acknowledged")
    assert running.end("quit\n") == 0
    assert left() == ["LOGS", "new.txt"]  # nobody has it yet
    run(receive)
    assert_shown(released, run(upload_once))
    assert left() == ["LOGS"]
    assert_shown(kept, run(doctor))
    (uploaded / "new.txt").write_text("second light")
    run("dfud upload run42 --config kafka.config --topic_name run42 --once")
    (uploaded / "late.txt").write_text("not on the topic")
    assert_shown(same, run(look))
    run(delete_same)
    assert left() == ["LOGS", "late.txt"]
    run(delete_same)  # nothing more to delete is no error
    assert_shown(missing, run(verify, 1))


def test_monitoring(home: Path, run: Run, terminal: Open, kafka: KafkaNode) -> None:
    page = Page("monitoring", kafka.bootstrap)
    check, upload, metrics = page.blocks("sh")
    fine, metric = page.blocks("text")
    (port,) = free_ports(1)
    running = terminal("mkdir run42\n" + upload.replace("9710", str(port)))
    running.wait_for("watching 1 folder")
    assert_shown(fine, run(check))
    assert_shown(metric, run(metrics.replace("9710", str(port))))
    assert running.end("quit\n") == 0
    assert_shown("DFUD CRITICAL - not running: ended", run(check, 2))
    assert_shown("DFUD OK", run(f"{check.strip()} --may_be_ended"))
