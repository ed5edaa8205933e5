"""A broker with access control: SASL/SCRAM, ACLs, and TLS with a private CA."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka.admin import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
    ScramCredentialInfo,
    ScramMechanism,
    UserScramCredentialDeletion,
    UserScramCredentialUpsertion,
)

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.broker.ports import HOST
from tests.faults.broker_away import AWAY, BACK, REPORTED_WITHIN_S, wait_until_recorded
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.topics import create_topic
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import WAIT_S, command, in_progress, tree, upload_once, uploading

_USER, _PASSWORD = "instrument", "a secret"
_ANSWER_S = 30.0


class Authority:
    """A certificate authority, made with OpenSSL's command line, and the certificate that it signed."""

    def __init__(self, folder: Path) -> None:
        if shutil.which("openssl") is None:
            raise UnavailableError("openssl is not installed")
        folder.mkdir()
        self._folder = folder
        self.certificate = folder / "ca.pem"
        self._openssl(
            "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=test CA",
            "-keyout", "ca.key", "-out", "ca.pem",
        )  # fmt: skip

    def server(self) -> Path:
        """Return a file with the key and the certificate of a server on this machine."""
        (self._folder / "extensions").write_text(f"subjectAltName=IP:{HOST}\n")
        self._openssl(
            "req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=broker", "-keyout", "key.pem", "-out", "request"
        )
        self._openssl(
            "x509", "-req", "-in", "request", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
            "-days", "2", "-extfile", "extensions", "-out", "server.pem",
        )  # fmt: skip
        both = self._folder / "both.pem"
        both.write_bytes((self._folder / "key.pem").read_bytes() + (self._folder / "server.pem").read_bytes())
        return both

    def _openssl(self, *words: str) -> None:
        done = subprocess.run(
            ["openssl", *words], cwd=self._folder, stdin=subprocess.DEVNULL, capture_output=True, check=False
        )
        assert done.returncode == 0, done.stderr.decode()


class Fortress:
    """A broker that asks for a password, over TLS only, and enforces ACLs."""

    def __init__(self, scene: Scene, node: KafkaNode, authority: Authority) -> None:
        self.scene, self.node, self.authority = scene, node, authority

    @property
    def _admin(self) -> AdminClient:
        """A client of the administrator; keep a reference to it until its futures are done."""
        return AdminClient({"bootstrap.servers": self.node.internal_bootstrap})

    def set_password(self, password: str | None) -> None:
        """Give the user a password, or remove it."""
        mechanism = ScramMechanism.SCRAM_SHA_256
        change = (
            UserScramCredentialDeletion(_USER, mechanism)
            if password is None
            else UserScramCredentialUpsertion(_USER, ScramCredentialInfo(mechanism, 4096), password.encode())
        )
        admin = self._admin
        admin.alter_user_scram_credentials([change])[_USER].result(_ANSWER_S)

    def allow(self, topic: str, *operations: AclOperation) -> None:
        """Allow the user these operations on a topic."""
        bindings = [
            AclBinding(
                ResourceType.TOPIC, topic, ResourcePatternType.LITERAL,
                f"User:{_USER}", "*", operation, AclPermissionType.ALLOW,
            )
            for operation in operations
        ]  # fmt: skip
        admin = self._admin
        for made in admin.create_acls(bindings).values():
            made.result(_ANSWER_S)

    def forbid(self, topic: str, operation: AclOperation = AclOperation.ANY) -> None:
        """Revoke what was allowed."""
        anyone: Any = None  # any principal, any host; the annotations do not know None
        which = AclBindingFilter(
            ResourceType.TOPIC,
            topic,
            ResourcePatternType.LITERAL,
            anyone,
            anyone,
            operation,
            AclPermissionType.ANY,
        )
        admin = self._admin
        for removed in admin.delete_acls([which]).values():
            assert removed.result(_ANSWER_S), "there was nothing to revoke"

    def config(self, password: str = _PASSWORD, ca: Path | None = None, **producer: str) -> Path:
        """Write a configuration file for the user."""
        client = {
            "security.protocol": "SASL_SSL",
            "sasl.mechanism": "SCRAM-SHA-256",
            "sasl.username": _USER,
            "sasl.password": password,
            "ssl.ca.location": str(ca or self.authority.certificate),
        }
        properties = {name.replace("_", "."): value for name, value in producer.items()}
        path = self.scene.path("kafka.config")
        return client_config.write(path, self.node.bootstrap, broker=client, producer=properties)


WRITER = (AclOperation.WRITE, AclOperation.DESCRIBE)


@contextmanager
def fortress_of(scene: Scene) -> Iterator[Fortress]:
    """Run a broker with access control for the duration of the block."""
    authority = Authority(scene.path("authority"))
    properties: Mapping[str, str] = {
        "listener.security.protocol.map": "CLIENT:SASL_SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "SCRAM-SHA-256",
        "listener.name.client.scram-sha-256.sasl.jaas.config": (
            "org.apache.kafka.common.security.scram.ScramLoginModule required;"
        ),
        "listener.name.client.ssl.keystore.type": "PEM",
        "listener.name.client.ssl.keystore.location": str(authority.server()),
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "super.users": "User:ANONYMOUS",  # clients of the plain-text listener
    }
    with KafkaNode(scene.path("kafka"), heap_mb=256, properties=properties) as node:
        fortress = Fortress(scene, node, authority)
        fortress.set_password(_PASSWORD)
        yield fortress


def refused_at_start(scene: Scene, tally: Tally, times: int) -> None:
    """Start with a wrong password, a wrong CA, without rights to the topic, and without the right to write."""
    with fortress_of(scene) as fortress:
        topic, secret_topic, readable = (create_topic(fortress.node.internal_bootstrap) for _ in range(3))
        fortress.allow(topic, *WRITER)
        fortress.allow(readable, AclOperation.READ, AclOperation.DESCRIBE)
        stranger = Authority(scene.path("authority")).certificate
        cases = [
            (fortress.config(password="wrong"), topic, ("uthentication", "sasl.password")),
            (fortress.config(ca=stranger), topic, ("certificate", "ssl.ca.location")),
            (fortress.config(ca=Path("/nowhere/ca.pem")), topic, ("ssl.ca.location",)),
            (fortress.config(), secret_topic, ("authorization failed", secret_topic)),
            (fortress.config(), readable, ("ACLs", readable)),
            (fortress.config(), "there_is_none", ("there_is_none",)),
            (fortress.config(security_protocol="PLAINTEXT"), topic, ("SASL_SSL", "security.protocol")),
            (fortress.config(security_protocol="SSL"), topic, ("SASL_SSL", "security.protocol")),
            (fortress.config(sasl_mechanism="PLAIN"), topic, ("sasl.mechanism",)),
        ]
        for config, name, words in cases[: 99 if times > 1 else 5]:
            directory = scene.directory()
            scene.fill(directory, 3, 100_000)
            done = subprocess.run(
                command(directory, config, name, "--once"),
                stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False,
            )  # fmt: skip
            tally.times += 1
            text = done.stderr.decode()
            tally.require(done.returncode == 2, f"it exited with {done.returncode}: {text}")
            tally.require(len(text.splitlines()) == 1, text)
            for word in (*words, str(config)):
                tally.require(word in text, f"no {word!r} in: {text}")
            tally.require(not (directory / "LOGS").exists(), "something was written")
        with tally.recovering():
            upload_once(directory, fortress.config(), topic)
        scene.check(tally, directory, topic, fortress.node.internal_bootstrap)


def revoke_credentials(scene: Scene, tally: Tally, times: int) -> None:
    """Remove the user's password, restart the broker so that it asks for it, then restore the password."""
    with fortress_of(scene) as fortress:
        for _ in range(times):
            directory, topic = scene.directory(), create_topic(fortress.node.internal_bootstrap)
            fortress.allow(topic, *WRITER)
            with uploading(directory, fortress.config(batch_num_messages="1"), topic) as upload:
                scene.fill(directory, 3, 4_000_000, "before")
                upload.wait_for("broken into")
                fortress.set_password(None)
                fortress.node.kill()
                fortress.node.start()
                tally.times += 1
                scene.fill(directory, 10, 100_000, "meanwhile")
                upload.wait_for(f"{AWAY} .*refuses the connection.*uthentication", REPORTED_WITHIN_S)
                fortress.set_password(_PASSWORD)
                with tally.recovering():
                    upload.wait_for(BACK)
                    wait_until_recorded(directory, topic)
                text = upload.quit()
            tally.require(text.count("refuses") == 1, text)
            scene.check(tally, directory, topic, fortress.node.internal_bootstrap)


def forbid_writing(scene: Scene, tally: Tally, times: int) -> None:
    """Revoke the right to write during an upload, then grant it: later files are delivered."""
    with fortress_of(scene) as fortress:
        for number in range(times):
            directory, topic = scene.directory(), create_topic(fortress.node.internal_bootstrap)
            fortress.allow(topic, *WRITER)
            operation = (AclOperation.WRITE, AclOperation.ANY)[number % 2]
            with uploading(directory, fortress.config(), topic) as upload:
                scene.fill(directory, 3, 1_000_000, "before")
                wait_until_recorded(directory, topic)
                fortress.forbid(topic, operation)
                tally.times += 1
                scene.fill(directory, 3, 100_000, "meanwhile")
                for _ in range(3):
                    upload.wait_for(
                        r"meanwhile\d not delivered: .*authorization failed.*grant the operation Write"
                    )
                fortress.allow(topic, *WRITER)
                time.sleep(1.5)  # for a second, dfud does not ask again after a refusal
                scene.fill(directory, 3, 100_000, "after")
                with tally.recovering():
                    for _ in range(3):
                        upload.wait_for(r"after\d: all")
                upload.say("quit")
                status, text = upload.end()
            tally.require(status == 1, f"it exited with {status}: {text}")
            for each in range(3):
                count = text.count(f"meanwhile{each} not delivered: ")  # immediately, and at the end
                tally.require(count == 2, f"reported {count} times: {text}")
            left = {os.fsencode(row["rel_filepath"]) for row in in_progress(directory, topic)}
            tally.require(left == {b"meanwhile0", b"meanwhile1", b"meanwhile2"}, f"{left} are left: {text}")
            upload_once(directory, fortress.config(), topic)
            tally.require(not in_progress(directory, topic), "the next run has left rows in progress")
            tally.require(len(tree(directory)) == 9, "files are missing")
            scene.check(tally, directory, topic, fortress.node.internal_bootstrap)


FAULTS = [
    Fault("wrong password, CA or rights at the start", refused_at_start, times=9, quick=1),
    Fault("the password is revoked", revoke_credentials, times=2),
    Fault("the right to write is revoked", forbid_writing, times=2),
]
