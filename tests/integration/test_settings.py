"""Settings that would lose or expose data, tried through the commands: refused at once, or used with a warning."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers import downloading
from tests.helpers.downloading import download_once
from tests.helpers.proxy import Proxy
from tests.helpers.uploading import WAIT_S, assert_all_there, command, completed, upload_once
from tests.helpers.verifying import verify

PASSWORD = "hunter2x"
_SASL = f"security.protocol = SASL_SSL\nsasl.mechanism = PLAIN\nsasl.username = me\nsasl.password = {PASSWORD}\n"


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with files to upload."""
    path = tmp_path / "data"
    path.mkdir()
    for number in range(3):
        (path / f"file{number}").write_bytes(bytes([number]) * 40_000)
    return path


def run(words: list[str]) -> tuple[int, str]:
    """Run a command; return its exit status and all of its output."""
    done = subprocess.run(
        words,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        timeout=WAIT_S,
        check=False,
    )
    return done.returncode, done.stdout.decode()


def refused(words: list[str]) -> str:
    """Run a command that must refuse its configuration; return its one line."""
    status, text = run(words)
    assert status == 2, text
    (line,) = text.splitlines()
    assert PASSWORD not in line
    return line


@pytest.fixture
def proxy(kafka: KafkaNode) -> Iterator[Proxy]:
    """The broker, behind something that counts connections."""
    with Proxy(int(kafka.bootstrap.rpartition(":")[2])) as proxy:
        yield proxy


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param("acks = 00", ["acks", "acknowledges nothing", "all"], id="acks-00"),
        pytest.param("acks = 1\nrequest.required.acks = 0", ["request.required.acks", "acks"], id="acks-twice"),
        pytest.param("topic.acks = 0", ["acks", "acknowledges nothing"], id="acks-of-the-topic"),
        pytest.param("transactional.id = 0", ["transactional.id"], id="transactional.id"),
        pytest.param("delivery.report.only.error = true", ["delivery.report.only.error"], id="only-errors"),
        pytest.param("enabled_events = 2", ["enabled_events"], id="events"),
        pytest.param("queue.buffering.max.kbytes = 20", ["--chunk_size 16384", "25"], id="queue"),
        pytest.param("api.version.request = false", ["api.version.request"], id="no-headers"),
        pytest.param("plugin.library.paths = x", ["plugin.library.paths"], id="plugin"),
        pytest.param("compression.type = zip", ["compression.type", "zstd"], id="compression"),
        pytest.param("linger.ms = 5 minutes", ["linger.ms", "number"], id="number"),
        pytest.param("linger.ms = 5 ; soon", ["linger.ms", "comment"], id="comment"),
        pytest.param("ssl.truststore.location = x", ["ssl.ca.location"], id="java"),
        pytest.param(_SASL.split("\n", 1)[1], ["sasl.mechanism", "security.protocol"], id="sasl-without-protocol"),
        pytest.param(_SASL.replace("PLAIN", "OAUTHBEARER"), ["sasl.oauthbearer.method"], id="oauthbearer"),
        pytest.param(_SASL + "ssl.ca.location = /none", ["ssl.ca.location", "/none"], id="ca"),
        pytest.param(_SASL.replace(f"= {PASSWORD}", PASSWORD), ["line 7", "no `=`"], id="no-equals"),
        pytest.param(_SASL + f"ssl.key.pem = -----BEGIN X-----\n{PASSWORD}", ["line 9", "indent"], id="pem"),
        pytest.param(_SASL.replace(PASSWORD, f"${PASSWORD}"), ["sasl.password", "variable"], id="variable"),
        pytest.param(_SASL.replace(PASSWORD, f"{PASSWORD}%"), ["line 7", "%%"], id="percent"),
    ],
)
def test_an_upload_refuses_at_once(
    tmp_path: Path, directory: Path, proxy: Proxy, lines: str, words: list[str]
) -> None:
    config = tmp_path / "bad.config"
    config.write_text(f"[broker]\nbootstrap.servers = {proxy.address}\n[producer]\n{lines}\n")
    before = sorted(directory.rglob("*"))
    line = refused(command(directory, config, "topic", "--once"))
    assert str(config) in line
    assert all(word in line for word in words), line
    assert sorted(directory.rglob("*")) == before
    assert proxy.connections == 0


@pytest.mark.parametrize(
    "servers",
    ['"{}"', "http://{}", "SASL_SSL://{}", "{} {}", "{}0000", "::1"],
)
@pytest.mark.parametrize("make", [command, downloading.command])
def test_what_is_no_address_is_refused_at_once(
    tmp_path: Path, proxy: Proxy, make: Callable[..., list[str]], servers: str, directory: Path
) -> None:
    config = tmp_path / "bad.config"
    config.write_text(f"[broker]\nbootstrap.servers = {servers.format(proxy.address, proxy.address)}\n")
    line = refused(make(directory, config, "topic", "--once"))
    assert "bootstrap.servers in " in line
    assert str(config) in line
    assert not (directory / "LOGS").exists()
    assert proxy.connections == 0


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        pytest.param("group.instance.id = x", ["group.instance.id"], id="instance"),
        pytest.param("no.such = 1", ["no.such"], id="unknown"),
        pytest.param("fetch.max.bytes = -1", ["fetch.max.bytes"], id="range"),
        pytest.param(_SASL.split("\n", 1)[1], ["sasl.mechanism", "security.protocol"], id="sasl-without-protocol"),
    ],
)
def test_reading_back_refuses_at_once(tmp_path: Path, proxy: Proxy, lines: str, words: list[str]) -> None:
    config = tmp_path / "bad.config"
    config.write_text(f"[broker]\nbootstrap.servers = {proxy.address}\n[consumer]\n{lines}\n")
    line = refused(downloading.command(tmp_path / "copy", config, "topic", "--once"))
    assert all(word in line for word in words), line
    assert not (tmp_path / "copy").exists()
    status, text = verify(tmp_path, config, "topic")
    assert status == 2
    assert all(word in text for word in words), text
    assert PASSWORD not in text
    assert proxy.connections == 0


def test_the_broker_is_all_that_has_to_be_configured(
    tmp_path: Path, directory: Path, kafka: KafkaNode, topic: str
) -> None:
    config = tmp_path / "short.config"
    config.write_text(f"[broker]\nbootstrap.servers = {kafka.bootstrap}\n")
    upload_once(directory, config, topic)
    download_once(tmp_path / "copy", config, topic)
    assert (tmp_path / "copy" / "file2").read_bytes() == (directory / "file2").read_bytes()
    assert verify(directory, config, topic)[0] == 0


@pytest.mark.parametrize(
    "producer",
    [
        {"acks": "1", "message.timeout.ms": "0", "debug": "all"},
        {"max.in.flight": "6", "retries": "0", "queuing.strategy": "lifo"},
        {"enable.idempotence": "false", "partitioner": "random"},
    ],
    ids=str,
)
def test_what_is_weaker_is_said_once_and_used(
    tmp_path: Path, directory: Path, kafka: KafkaNode, topic: str, producer: dict[str, str]
) -> None:
    config = client_config.write(tmp_path / "weak.config", kafka.bootstrap, producer=producer)
    text = upload_once(directory, config, topic)
    log = (directory / "LOGS" / "DataFileUploadDirectory.log").read_text()
    for name, value in producer.items():
        assert text.count(f"{name} = {value} in {config} ") == 1, text
        assert log.count(f"{name} = {value} in {config} ") == 1
    assert len(completed(directory, topic)) == 3
    if "partitioner" not in producer:
        assert_all_there(directory, kafka.bootstrap, topic)


def test_what_is_weaker_is_said_by_download_and_verify(
    tmp_path: Path, directory: Path, kafka: KafkaNode, topic: str
) -> None:
    weak = {"isolation.level": "read_uncommitted", "enable.auto.commit": "true"}
    config = client_config.write(tmp_path / "weak.config", kafka.bootstrap, consumer=weak)
    upload_once(directory, config, topic)
    status, verified = verify(directory, config, topic)
    assert status == 0
    for text in (download_once(tmp_path / "copy", config, topic), verified):
        for name, value in weak.items():
            assert text.count(f"{name} = {value} in {config} ") == 1, text
    assert (tmp_path / "copy" / "file0").read_bytes() == (directory / "file0").read_bytes()


def test_the_least_queue_that_is_named_carries_a_chunk(
    tmp_path: Path, directory: Path, kafka: KafkaNode, topic: str
) -> None:
    (directory / "large").write_bytes(b"x" * 2_000_000)
    options = ("--chunk_size", 524_288)
    small = client_config.write(
        tmp_path / "small", kafka.bootstrap, producer={"queue.buffering.max.kbytes": "500"}
    )
    line = refused(command(directory, small, topic, "--once", *options))
    assert "queue.buffering.max.kbytes = 500" in line
    least = line.split("set it to ")[1].split()[0]
    enough = client_config.write(
        tmp_path / "enough", kafka.bootstrap, producer={"queue.buffering.max.kbytes": least}
    )
    upload_once(directory, enough, topic, *options)
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_password_is_in_no_output(tmp_path: Path, directory: Path) -> None:
    login = f'org.apache.kafka.common.security.plain.PlainLoginModule required user_me="{PASSWORD}";'
    properties = {
        "listener.security.protocol.map": "CLIENT:SASL_PLAINTEXT,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "listener.name.client.sasl.enabled.mechanisms": "PLAIN",
        "listener.name.client.plain.sasl.jaas.config": login,
    }
    user = {
        "security.protocol": "SASL_PLAINTEXT",
        "sasl.mechanism": "PLAIN",
        "sasl.username": "me",
        "sasl.password": PASSWORD,
    }
    with KafkaNode(tmp_path / "kafka", heap_mb=256, properties=properties) as node:
        config = client_config.write(tmp_path / "config", node.bootstrap, broker=user, producer={"debug": "all"})
        text = upload_once(directory, config, "T")
        assert "sasl.mechanism = PLAIN" in text
        assert "unencrypted" in text
        wrong = {**user, "sasl.password": f"{PASSWORD}y"}
        config = client_config.write(tmp_path / "config", node.bootstrap, broker=wrong)
        text += refused(command(directory, config, "T", "--once"))
        text += download_once(tmp_path / "copy", config, "T", status=2)
        text += verify(directory, config, "T")[1]
    for log in tmp_path.rglob("*.log"):
        if "kafka" not in log.relative_to(tmp_path).parts:
            text += log.read_text()
    assert text.count("check sasl.username, sasl.password") == 3
    assert PASSWORD not in text
