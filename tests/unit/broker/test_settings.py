"""The broker's settings, its clients' settings, its readiness, and its folder."""

from __future__ import annotations

import configparser
import contextlib
import re
import socket
import struct
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.broker import client_config, ports, readiness, settings
from dfud.broker.data_folder import DataFolder
from dfud.broker.node import KafkaNode, cluster_id
from dfud.errors import BrokerError, UsageError


def java_properties(text: str) -> dict[str, str]:
    """Read a Java properties file by the rules of java.util.Properties, as far as needed here."""
    properties = {}
    for line in text.splitlines():
        pair = re.fullmatch(r"((?:\\.|[^\\=: ])*)=(.*)", line)
        assert pair, line
        properties[unescape(pair.group(1))] = unescape(pair.group(2))
    return properties


def unescape(text: str) -> str:
    """Undo the escapes of a properties file."""
    assert not text.startswith(" ")
    units = re.sub(r"\\u([0-9a-f]{4})|\\(.)", lambda m: chr(int(m[1], 16)) if m[1] else m[2], text)
    return units.encode("utf-16-be", "surrogatepass").decode("utf-16-be", "surrogatepass")


@given(st.dictionaries(st.text(min_size=1), st.text()))
def test_properties_survive_a_round_trip(properties: dict[str, str]) -> None:
    text = settings.render(properties)
    assert text.isascii()
    assert java_properties(text) == properties


def test_a_node_of_a_cluster_knows_the_others_and_advertises_its_proxy() -> None:
    quorum = settings.Quorum("id", 2, {1: 11, 2: 12, 3: 13})
    properties = settings.node_properties("127.0.0.1", settings.Ports(21, 22, 12, 99), "kafka", 256, quorum)
    assert properties["node.id"] == "2"
    assert properties["controller.quorum.voters"] == "1@127.0.0.1:11,2@127.0.0.1:12,3@127.0.0.1:13"
    assert properties["listeners"].startswith("CLIENT://127.0.0.1:21,")
    assert properties["advertised.listeners"] == "CLIENT://127.0.0.1:99,INTERNAL://127.0.0.1:22"


def test_the_heap_limits_the_requests() -> None:
    properties = settings.node_properties("127.0.0.1", settings.Ports(1, 2, 3, 1), "kafka", 512)
    assert properties["listeners"] == "CLIENT://127.0.0.1:1,INTERNAL://127.0.0.1:2,CONTROLLER://127.0.0.1:3"
    assert int(properties["queued.max.request.bytes"]) == 128 << 20
    assert int(properties["queued.max.request.bytes"]) >= int(properties["socket.request.max.bytes"])


def test_a_client_config_is_an_ini_file(tmp_path: Path) -> None:
    path = client_config.write(
        tmp_path / "file",
        "127.0.0.1:9",
        broker={"a": "1"},
        producer={"b": "2"},
        consumer={"group.id": "mine"},
    )
    config = configparser.ConfigParser()
    config.read(path)
    assert {name: dict(config[name]) for name in config.sections()} == {
        "broker": {"bootstrap.servers": "127.0.0.1:9", "a": "1"},
        "producer": {"b": "2"},
        "consumer": {"group.id": "mine", "auto.offset.reset": "earliest"},
    }


def test_cluster_ids_have_22_characters_and_do_not_look_like_options() -> None:
    for _ in range(500):
        assert re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_-]{21}", cluster_id())


def test_free_ports_are_distinct_and_can_be_bound() -> None:
    free = ports.free_ports(5)
    assert len(set(free)) == 5
    with contextlib.ExitStack() as stack:
        for port in free:
            stack.enter_context(socket.create_server((ports.HOST, port)))
            assert not ports.is_free(port)


# Readiness


def response(correlation: int, brokers: int) -> bytes:
    """Encode the beginning of a metadata response, after its length."""
    body = struct.pack(">iii", correlation, 0, brokers) + b"brokers..."
    return struct.pack(">i", len(body)) + body


@pytest.mark.parametrize(
    ("answer", "ready"),
    [
        pytest.param(response(1, 1), True, id="one-broker"),
        pytest.param(response(1, 0), False, id="none-yet"),
        pytest.param(response(2, 1), False, id="another-request"),
        pytest.param(b"\0\0\0\x10\0\0", False, id="cut-off"),
        pytest.param(b"", False, id="closed"),
        pytest.param(b"HTTP/1.1 400 Bad Request\r\n\r\n", False, id="no-kafka"),
    ],
)
def test_a_broker_is_ready_when_it_lists_itself(answer: bytes, ready: bool) -> None:
    def serve() -> None:
        connection, _ = server.accept()
        with connection:
            request = connection.recv(4096)
            assert struct.unpack_from(">i", request)[0] == len(request) - 4
            connection.sendall(answer)

    with socket.create_server((ports.HOST, 0)) as server:
        thread = threading.Thread(target=serve)
        thread.start()
        assert readiness.is_ready(ports.HOST, server.getsockname()[1], timeout=5.0) is ready
        thread.join()


def test_a_port_without_a_listener_is_not_ready() -> None:
    assert not readiness.is_ready(ports.HOST, ports.free_ports(1)[0], timeout=5.0)


# The folder


def test_a_folder_is_locked_once_and_can_be_locked_again(tmp_path: Path) -> None:
    first, second = DataFolder(tmp_path), DataFolder(tmp_path)
    first.acquire()
    with pytest.raises(UsageError, match="another broker"):
        second.acquire()
    first.release()
    second.acquire()
    second.release()
    second.release()


def test_a_folder_remembers_its_port(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert folder.remembered_port() is None
    folder.remember_port(9092)
    assert DataFolder(tmp_path).remembered_port() == 9092


def test_a_remembered_port_that_is_in_use_is_refused(tmp_path: Path) -> None:
    with socket.create_server((ports.HOST, 0)) as taken:
        DataFolder(tmp_path).remember_port(taken.getsockname()[1])
        with pytest.raises(UsageError, match=r"of the last start in this folder.* is in use; .*--port"):
            KafkaNode(tmp_path).start()


def test_the_tail_of_a_log_is_short_and_indented(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    assert "no log" in folder.log_tail()
    folder.log.parent.mkdir()
    folder.log.write_bytes(b"".join(b"line %d \xff\n" % number for number in range(5000)))
    assert (
        folder.log_tail(lines=2)
        == "    line 4998 \N{REPLACEMENT CHARACTER}\n    line 4999 \N{REPLACEMENT CHARACTER}"
    )


def test_an_unstarted_broker_reports_so(tmp_path: Path) -> None:
    node = KafkaNode(tmp_path)
    assert not node.is_running
    for attribute in ("bootstrap", "internal_bootstrap", "pid"):
        with pytest.raises(BrokerError, match="was not started"):
            getattr(node, attribute)
    node.stop()
    node.kill()
