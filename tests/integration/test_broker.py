"""The embedded Kafka: its processes, its data, and the command that runs it."""

from __future__ import annotations

import configparser
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
from confluent_kafka import Producer

from dfud.broker.node import KafkaNode
from dfud.broker.ports import HOST, free_ports
from dfud.errors import BrokerError, UsageError
from tests.helpers.cluster import Cluster
from tests.helpers.reader import read_topic
from tests.helpers.topics import create_topic

WAIT_S = 60.0


def produce(bootstrap: str, topic: str, key: bytes, value: bytes, **client: str) -> None:
    """Produce one message and wait for its acknowledgement."""
    failures: list[object] = []
    producer = Producer({"bootstrap.servers": bootstrap, "message.timeout.ms": 30000, **client})
    producer.produce(topic, value, key=key, on_delivery=lambda error, _: failures.append(error))
    assert producer.flush(WAIT_S) == 0
    assert failures == [None]


def values(node: KafkaNode, topic: str) -> list[bytes | None]:
    """Return the values on a topic."""
    return [message.value for message in read_topic(node.bootstrap, topic)]


def test_the_data_and_the_address_outlive_a_stop_and_a_crash(tmp_path: Path) -> None:
    with KafkaNode(tmp_path / "a folder, näher") as node:
        address = node.bootstrap
        topic = create_topic(node.bootstrap, 1)
        produce(node.bootstrap, topic, b"key", b"first")
        node.stop()
        assert not node.is_running

        node.start()
        assert node.bootstrap == address
        assert values(node, topic) == [b"first"]
        produce(node.bootstrap, topic, b"key", b"second")
        node.kill()

        node.start()
        assert values(node, topic) == [b"first", b"second"]
    with KafkaNode(tmp_path / "a folder, näher") as another:
        assert another.bootstrap == address


def test_a_folder_serves_one_broker_at_a_time(kafka: KafkaNode) -> None:
    with pytest.raises(UsageError, match="another broker uses the data folder"):
        KafkaNode(kafka.folder.path).start()
    assert kafka.is_running


def test_it_listens_on_loopback_only(kafka: KafkaNode) -> None:
    listening = [c for c in psutil.Process(kafka.pid).net_connections("inet") if c.status == "LISTEN"]
    assert len(listening) == 3
    assert {connection.laddr.ip.replace("::ffff:", "") for connection in listening} == {HOST}


def test_properties_change_the_broker(tmp_path: Path) -> None:
    login = 'org.apache.kafka.common.security.plain.PlainLoginModule required user_me="secret";'
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": login,
    }
    sasl = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "me",
        "sasl.password": "secret",
    }
    with KafkaNode(tmp_path, properties=properties) as node:
        topic = create_topic(node.internal_bootstrap, 1)
        produce(node.bootstrap, topic, b"key", b"value", **sasl)
        messages = read_topic(node.bootstrap, topic, sasl)
        assert [message.value for message in messages] == [b"value"]


def test_a_cluster_of_three_survives_the_loss_of_one_node(tmp_path: Path) -> None:
    with Cluster(tmp_path) as cluster:
        topic = create_topic(cluster.bootstrap, 1, replicas=3)
        cluster.wait_in_sync(topic)
        cluster.nodes[0].kill()
        produce(cluster.bootstrap, topic, b"key", b"value", acks="all")
        assert [message.value for message in read_topic(cluster.bootstrap, topic)] == [b"value"]


def test_a_failed_start_shows_the_log_and_leaves_no_process(tmp_path: Path) -> None:
    before = psutil.Process().children()
    node = KafkaNode(tmp_path, properties={"num.io.threads": "none"})
    with pytest.raises(BrokerError, match=r"(?s)kafka\.log.*num\.io\.threads"):
        node.start()
    assert not node.is_running
    assert psutil.Process().children() == before


def test_the_broker_ends_with_its_parent(tmp_path: Path) -> None:
    program = (
        "import sys, time; from dfud.broker.node import KafkaNode\n"
        "node = KafkaNode(sys.argv[1]); node.start(); print(node.pid, flush=True); time.sleep(600)"
    )
    with running([sys.executable, "-c", program, str(tmp_path)]) as parent:
        broker = psutil.Process(int(line_of(parent)))
        parent.kill()
        parent.wait(WAIT_S)
        broker.wait(WAIT_S)
    with KafkaNode(tmp_path) as node:  # neither the lock nor the data prevent it
        assert node.is_running


# The command


@contextmanager
def running(command: list[str]) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command with its output piped; kill it at the end if it still runs."""
    with subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        bufsize=0,  # select() does not see lines in a buffer
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def line_of(process: subprocess.Popen[bytes]) -> str:
    """Return the next line of a process's output."""
    assert process.stdout is not None
    assert select.select([process.stdout], [], [], WAIT_S)[0], "no output in time"
    return process.stdout.readline().decode()


def dfud_broker(*arguments: object) -> list[str]:
    """Return the command line of ``dfud broker``."""
    return [sys.executable, "-m", "dfud", "broker", *map(str, arguments)]


def test_the_command_says_what_to_type_next_and_reports_that_the_broker_died(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    data = tmp_path / "a folder"
    with running(dfud_broker("--data_dir", data, "--port", port)) as process:
        lines = list(iter(lambda: line_of(process).rstrip("\n"), "Stop it with Ctrl-C or SIGTERM."))
        start = lines.index("Next, in another terminal:")
        blank, make, upload, _ = lines[start + 1 :]
        assert (blank, make) == ("", "    mkdir -p run42")
        config = shlex.quote(str(data / "dfud.config"))
        assert upload.endswith(f" upload run42 --config {config} --topic_name run42")
        program = shlex.split(upload)[: shlex.split(upload).index("upload")]
        subprocess.run([*program, "--version"], stdout=subprocess.DEVNULL, timeout=WAIT_S, check=True)
        (child,) = psutil.Process(process.pid).children(recursive=True)
        child.kill()
        assert process.wait(WAIT_S) == 1
        assert process.stderr is not None
        assert b"the broker exited unexpectedly" in process.stderr.read()


def printed_config(process: subprocess.Popen[bytes]) -> Path:
    """Wait for the path of the configuration file in a broker's output and return it."""
    while True:
        line = line_of(process)
        assert line, "it ended without a configuration file"
        match = re.match(r"Configuration file: (.*)\n", line)
        if match:
            return Path(match.group(1))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=lambda number: number.name)
def test_the_command_writes_a_working_config_and_stops_on_a_signal(tmp_path: Path, number: int) -> None:
    (port,) = free_ports(1)
    with running(dfud_broker("--data-dir", tmp_path, "--port", port)) as process:
        config = configparser.ConfigParser()
        config.read(printed_config(process))
        assert config["broker"]["bootstrap.servers"] == f"{HOST}:{port}"
        topic = create_topic(config["broker"]["bootstrap.servers"], 1)
        produce(config["broker"]["bootstrap.servers"], topic, b"key", b"value", **config["producer"])
        messages = read_topic(config["broker"]["bootstrap.servers"], topic, config["consumer"])
        assert [message.value for message in messages] == [b"value"]
        (child,) = psutil.Process(process.pid).children(recursive=True)

        process.send_signal(number)
        assert process.wait(WAIT_S) == 0
        assert process.stderr is not None
        assert process.stderr.read() == b""
        assert not psutil.pid_exists(child.pid)


def refused(*arguments: object) -> str:
    """Run a broker that must exit with status 2; return its one line of output."""
    done = subprocess.run(
        dfud_broker(*arguments), stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False
    )
    assert done.returncode == 2, done.stderr
    assert done.stdout == b""
    (line,) = done.stderr.decode().splitlines()
    return line


def test_a_busy_port_is_refused(tmp_path: Path) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        assert f"port {port} of {HOST} is in use" in refused("--data_dir", tmp_path / "new", "--port", port)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert "cannot write to the data folder" in refused("--data_dir", tmp_path / "file" / "data")


def test_another_brokers_folder_is_refused(kafka: KafkaNode) -> None:
    assert "another broker uses the data folder" in refused("--data_dir", kafka.folder.path)
