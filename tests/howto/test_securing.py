"""A broker with passwords, TLS and rights, as the page has it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from confluent_kafka.admin import (
    AclBinding,
    AclOperation,
    AclPermissionType,
    AdminClient,
    NewTopic,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialUpsertion,
)

from dfud.broker.node import KafkaNode
from tests.faults.access import Authority
from tests.helpers.unavailable import UnavailableError
from tests.howto.page import Open, Page, Run, assert_shown

PASSWORD = "a secret"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """An empty home."""
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def guarded(tmp_path: Path, home: Path) -> Iterator[KafkaNode]:
    """A broker that wants a password, over TLS, and enforces rights; its CA's certificate is in the home."""
    try:
        authority = Authority(tmp_path / "authority")
    except UnavailableError as error:
        pytest.skip(str(error))
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-512",
        "listener.name.client.scram-sha-512.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.location": str(authority.server()),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # clients of the plain-text listener
    }
    (home / "ca.pem").write_bytes(authority.certificate.read_bytes())
    with KafkaNode(tmp_path / "kafka", heap_mb=256, properties=properties) as node:
        admin = AdminClient({"bootstrap.servers": node.internal_bootstrap})
        credential = ScramCredentialInfo(ScramMechanism.SCRAM_SHA_512, 4096)
        change = UserScramCredentialUpsertion("instrument", credential, PASSWORD.encode())
        admin.alter_user_scram_credentials([change])["instrument"].result(30)
        yield node


def allow(node: KafkaNode, topic: str, *operations: AclOperation) -> None:
    """Allow the user these operations on a topic."""
    admin = AdminClient({"bootstrap.servers": node.internal_bootstrap})
    bindings = [
        AclBinding(
            ResourceType.TOPIC, topic, ResourcePatternType.LITERAL, "User:instrument", "*", operation,
            AclPermissionType.ALLOW,
        )
        for operation in operations
    ]  # fmt: skip
    for made in admin.create_acls(bindings).values():
        made.result(30)


def test_sasl_and_tls(home: Path, run: Run, terminal: Open, guarded: KafkaNode, tmp_path: Path) -> None:
    page = Page("sasl-and-tls", guarded.bootstrap)
    (config,) = page.blocks("ini")
    keep_password, doctor, upload = page.blocks("sh")
    fine, wrong_password, wrong_authority, no_right = page.blocks("text")
    (home / "kafka.config").write_text(config)
    run(keep_password)
    assert (home / "kafka.password").stat().st_mode & 0o77 == 0
    admin = AdminClient({"bootstrap.servers": guarded.internal_bootstrap})
    admin.create_topics([NewTopic("run42", 4, 1)])["run42"].result(30)
    allow(guarded, "run42", AclOperation.DESCRIBE, AclOperation.DESCRIBE_CONFIGS)

    def refused(block: str) -> list[str]:
        opened = terminal(block)
        assert opened.end() == 2, opened.lines
        return opened.lines

    run("mkdir run42")
    assert_shown(no_right, refused(upload))
    allow(guarded, "run42", AclOperation.WRITE)
    looked = terminal(doctor)
    assert looked.end() in (0, 1), looked.lines
    assert_shown(fine, looked.lines)
    run(upload)
    (home / "kafka.password").write_text("export KAFKA_PASSWORD=wrong\n")
    assert_shown(wrong_password, refused(upload))
    run(keep_password)
    (home / "ca.pem").write_bytes(Authority(tmp_path / "other").certificate.read_bytes())
    assert_shown(wrong_authority, refused(upload))
