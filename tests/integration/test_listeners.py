"""Clients whose security protocol, address or rights do not suit the broker, and what they are told."""

from __future__ import annotations

import contextlib
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.broker.ports import HOST
from dfud.kafka.listener import CLOSING, HTTP, OTHER, SILENT, TLS, Listener, identify
from tests.faults.access import Authority
from tests.helpers.topics import create_topic
from tests.helpers.uploading import WAIT_S, Upload, command, upload_once, uploading

PLAIN = {
    "security.protocol": "SASL_PLAINTEXT",
    "sasl.mechanism": "PLAIN",
    "sasl.username": "instrument",
    "sasl.password": "a secret",
}


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A broker that wants SASL, enforces ACLs, and cannot create the topic of the groups' offsets."""
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": (
            'org.apache.kafka.common.security.plain.PlainLoginModule required user_instrument="a secret";'
        ),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",
        "offsets.topic.replication.factor": "3",
    }
    with KafkaNode(tmp_path_factory.mktemp("guarded"), heap_mb=256, properties=properties) as node:
        yield node


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with a file to upload."""
    path = tmp_path / "data"
    path.mkdir()
    (path / "file").write_bytes(b"x" * 50_000)
    return path


@contextlib.contextmanager
def server(answer: bytes, closes: bool) -> Iterator[str]:
    """Run a server that is no broker: it answers each connection so, and closes it or not; yield its address."""
    with socket.create_server((HOST, 0)) as listening:
        kept = []

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    connection.recv(1000)
                    connection.sendall(answer)
                    kept.append(connection)
                    if closes:
                        connection.close()

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield f"{HOST}:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)
        thread.join()
        for connection in kept:
            connection.close()


@pytest.mark.parametrize(
    ("answer", "closes", "kind"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", True, HTTP),
        (b"", False, SILENT),
        (b"", True, CLOSING),
        (b"220 mail.example.org ESMTP\r\n", False, OTHER),
        (b"\x15\x03\x03\x00\x02\x02\x46", True, TLS),
    ],
)
def test_what_is_no_broker_is_known(answer: bytes, closes: bool, kind: str) -> None:
    with server(answer, closes) as address:
        assert identify(address) == Listener(kind)


def test_what_is_a_broker_is_known(kafka: KafkaNode, guarded: KafkaNode) -> None:
    assert identify(kafka.bootstrap) == Listener("PLAINTEXT")
    assert identify(guarded.bootstrap) == Listener("SASL_PLAINTEXT", ("PLAIN",))
    assert identify(f"{HOST}:1") is None


def ended(words: list[str], status: int) -> str:
    """Run a command to its end; return its output."""
    done = subprocess.run(
        words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        encoding="utf-8", timeout=WAIT_S, check=False,
    )  # fmt: skip
    assert done.returncode == status, done.stdout
    return done.stdout


def waits(words: list[str], pattern: str) -> None:
    """Run an upload until it says what it waits for, and end it."""
    upload = Upload(words)
    try:
        upload.wait_for(pattern)
        upload.say("quit")
        assert upload.end()[0] == 1
    finally:
        upload.close()


def reading(name: str, directory: Path, config: Path, topic: str) -> list[str]:
    """Return the command line of a download or a verification."""
    once = ["--once"] if name == "download" else []
    return [
        sys.executable,
        "-m",
        "dfud",
        name,
        str(directory),
        "--config",
        str(config),
        "--topic_name",
        topic,
        *once,
    ]


def doctor(directory: Path, config: Path, topic: str, status: int) -> str:
    """Return what the doctor finds that is not fine."""
    words = [sys.executable, "-m", "dfud", "doctor", str(directory)]
    return ended([*words, "--config", str(config), "--topic_name", topic, "--quiet"], status)


def config_for(tmp_path: Path, address: str, **broker: str) -> Path:
    """Write a configuration file."""
    properties = {name.replace("_", "."): value for name, value in broker.items()}
    short = {"message.timeout.ms": "6000"}
    return client_config.write(tmp_path / "the.config", address, broker=properties, producer=short)


def test_a_wrong_security_protocol_is_named(
    directory: Path, tmp_path: Path, kafka: KafkaNode, guarded: KafkaNode
) -> None:
    config = config_for(tmp_path, guarded.bootstrap)
    text = ended(command(directory, config, "t"), 2)
    assert "set security.protocol = SASL_PLAINTEXT (its sasl.mechanism is one of PLAIN)" in text
    config = config_for(tmp_path, kafka.bootstrap, security_protocol="SSL")
    assert "set security.protocol = PLAINTEXT" in ended(command(directory, config, "t"), 2)
    config = client_config.write(tmp_path / "sasl.config", kafka.bootstrap, broker=PLAIN)
    assert "it takes no SASL: check security.protocol" in ended(command(directory, config, "t"), 2)
    assert "it takes no SASL: check security.protocol" in doctor(directory, config, "t", 2)
    wrong = {**PLAIN, "sasl.password": "another one"}
    config = client_config.write(tmp_path / "sasl.config", guarded.bootstrap, broker=wrong)
    assert "check sasl.username, sasl.password and sasl.mechanism" in doctor(directory, config, "t", 2)
    assert not (directory / "LOGS").exists()


def test_a_broker_that_wants_tls_or_sends_its_clients_elsewhere_is_named(directory: Path, tmp_path: Path) -> None:
    authority = Authority(tmp_path / "authority")
    properties = {
        "listener.security.protocol.map": "CLIENT:SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.location": str(authority.server()),
        "advertised.listeners": f"CLIENT://broker.invalid:9092,INTERNAL://{HOST}:1",
    }
    with KafkaNode(tmp_path / "kafka", heap_mb=256, properties=properties) as node:
        config = config_for(tmp_path, node.bootstrap)
        assert "set security.protocol = SSL" in ended(command(directory, config, "t"), 2)
        config = config_for(tmp_path, node.bootstrap, security_protocol="SSL")
        assert "ssl.ca.location" in ended(command(directory, config, "t"), 2)
        assert f"that of the broker at {node.bootstrap} is valid until" in doctor(directory, config, "t", 2)
        config = config_for(
            tmp_path, node.bootstrap, security_protocol="SSL", ssl_ca_location=str(authority.certificate)
        )
        waits(
            command(directory, config, "t"),
            "a broker sends its clients to broker.invalid:9092, its advertised.listeners; broker.invalid "
            "cannot be resolved.*set advertised.listeners on the broker",
        )


def test_a_server_that_is_no_broker_is_named(directory: Path, tmp_path: Path) -> None:
    with server(b"HTTP/1.1 400 Bad Request\r\n\r\n", True) as address:
        text = ended(command(directory, config_for(tmp_path, address), "t"), 2)
        assert f"{address}: an HTTP server answers there" in text
    assert not (directory / "LOGS").exists()
    with server(b"", False) as address:  # it may be a broker that is starting
        waits(
            command(directory, config_for(tmp_path, address), "t"),
            "it accepts connections and answers nothing; check the port in bootstrap.servers",
        )


class Rights:
    """The ACLs of a topic or a group, for the one user of a broker."""

    def __init__(self, node: KafkaNode) -> None:
        self._admin = AdminClient({"bootstrap.servers": node.internal_bootstrap})

    def allow(self, kind: ResourceType, name: str, *operations: AclOperation) -> None:
        """Allow these operations."""
        bindings = [
            AclBinding(
                kind, name, ResourcePatternType.LITERAL, "User:instrument", "*", each, AclPermissionType.ALLOW
            )
            for each in operations
        ]
        for made in self._admin.create_acls(bindings).values():
            made.result(30)

    def forbid(self, kind: ResourceType, name: str, operation: AclOperation) -> None:
        """Take back what was allowed."""
        which = AclBindingFilter(
            kind, name, ResourcePatternType.LITERAL, "User:instrument", "*", operation, AclPermissionType.ALLOW
        )
        for removed in self._admin.delete_acls([which]).values():
            assert removed.result(30)


def test_each_right_that_is_missing_is_named(directory: Path, tmp_path: Path, guarded: KafkaNode) -> None:
    topic = create_topic(guarded.internal_bootstrap, 1)
    config = client_config.write(tmp_path / "sasl.config", guarded.bootstrap, broker=PLAIN)
    rights = Rights(guarded)
    rights.allow(ResourceType.TOPIC, topic, AclOperation.DESCRIBE)
    text = ended(command(directory, config, topic, "--once"), 2)
    assert f"the ACLs of topic {topic} do not allow this user to write; grant the operation Write on it" in text
    assert re.search(r"^STOPS +rights +the ACLs of topic", doctor(directory, config, topic, 2), re.MULTILINE)
    for name in ("download", "verify"):
        text = ended(reading(name, directory, config, topic), 2)
        assert f"the ACLs of topic {topic} do not allow this user to read; grant the operation Read" in text
    rights.allow(ResourceType.TOPIC, topic, AclOperation.WRITE, AclOperation.READ)
    readers = client_config.write(
        tmp_path / "readers.config", guarded.bootstrap, broker=PLAIN, consumer={"group.id": "readers"}
    )
    text = ended(reading("download", directory, readers, topic), 2)
    assert re.search(r"the ACLs of group readers-\w+ do not allow this user to read; grant", text)
    text = upload_once(directory, config, topic)
    assert text.count("the settings of topic") == 1
    assert "grant the operation DescribeConfigs" in text
    with uploading(directory, config, topic) as upload:
        rights.forbid(ResourceType.TOPIC, topic, AclOperation.WRITE)
        upload.wait_for(f"the ACLs of topic {topic} no longer allow this user to write")
        upload.quit()
    assert "1 same" in ended(reading("verify", directory, config, topic), 0)  # it needs no group


def test_a_missing_right_for_the_heartbeats_is_said_once_and_costs_nothing_else(
    directory: Path, tmp_path: Path, guarded: KafkaNode
) -> None:
    topic, beats = (create_topic(guarded.internal_bootstrap, 1) for _ in range(2))
    config = client_config.write(tmp_path / "sasl.config", guarded.bootstrap, broker=PLAIN)
    rights = Rights(guarded)
    rights.allow(ResourceType.TOPIC, topic, AclOperation.WRITE, AclOperation.DESCRIBE_CONFIGS)
    options = ("--heartbeat_topic_name", beats, "--heartbeat_interval_secs", 0.2)
    with uploading(directory, config, topic, "--upload_existing", *options) as upload:
        upload.wait_for(
            f"cannot send heartbeats to topic {beats}: this user may not write to it; grant the operation"
        )
        rights.allow(ResourceType.TOPIC, beats, AclOperation.WRITE)
        upload.wait_for(f"heartbeats reach topic {beats} again")
        assert upload.quit().count(beats) == 2


def test_groups_that_cannot_be_used_are_named(directory: Path, tmp_path: Path, guarded: KafkaNode) -> None:
    topic = create_topic(guarded.internal_bootstrap, 1)
    consumer = {"group.id": "readers"}
    config = client_config.write(tmp_path / "internal.config", guarded.internal_bootstrap, consumer=consumer)
    text = ended(reading("download", directory, config, topic), 2)
    assert "offsets.topic.replication.factor = 3; set that to 1 on the broker" in text
