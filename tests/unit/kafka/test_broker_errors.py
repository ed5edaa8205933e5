"""What librdkafka's errors about a connection mean."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from dfud.kafka.broker_errors import latest_trouble, trouble_of

CHECK = "check bootstrap.servers, and that the broker is running"
REFUSED = "Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 0ms in state CONNECT)"
UNRESOLVED = "Failed to resolve 'host:9092': Name or service not known (after 0ms in state CONNECT)"


@pytest.mark.parametrize(
    ("code", "text", "expected"),
    [
        (KafkaError._TRANSPORT, f"host:9092/bootstrap: {REFUSED}", f"host:9092: Connection refused; {CHECK}"),
        (
            KafkaError._RESOLVE,
            f"ssl://host:9092/bootstrap: {UNRESOLVED}",
            f"host cannot be resolved (Name or service not known); {CHECK}",
        ),
        (
            KafkaError._RESOLVE,
            f"sasl_ssl://host:9092/3: {UNRESOLVED}",
            "a broker sends its clients to host:9092, its advertised.listeners; host cannot be resolved (Name "
            "or service not known); set advertised.listeners on the broker to an address that can be reached from "
            "here",
        ),
        (
            KafkaError._AUTHENTICATION,
            "sasl_ssl://host:9092/bootstrap: SASL authentication error: wrong (after 1ms in state AUTH_REQ)",
            "host:9092: SASL authentication error: wrong; check sasl.username, sasl.password and sasl.mechanism",
        ),
        (
            KafkaError._AUTHENTICATION,
            "sasl_plaintext://host:9092/bootstrap: SASL PLAIN mechanism handshake failed: Broker: Request not "
            "valid in current SASL state: broker's supported mechanisms:  (after 0ms in state AUTH_HANDSHAKE)",
            "host:9092: SASL PLAIN mechanism handshake failed: Broker: Request not valid in current SASL state: "
            "broker's supported mechanisms: ; it takes no SASL: check security.protocol and the port in "
            "bootstrap.servers",
        ),
        (
            KafkaError._FAIL,
            "127.0.0.1:9092/bootstrap: Failed to create socket: Too many open files",
            "Failed to create socket: Too many open files; let dfud open more files (ulimit -n, or LimitNOFILE of "
            "its service)",
        ),
        (KafkaError._FAIL, "something else", f"something else; {CHECK}"),
    ],
)
def test_an_error_is_explained(code: int, text: str, expected: str) -> None:
    assert trouble_of(KafkaError(code, text)).describe() == expected


def test_the_latest_cause_counts_and_no_consequence() -> None:
    all_down = KafkaError(KafkaError._ALL_BROKERS_DOWN, "1/1 brokers are down")
    errors = [KafkaError(KafkaError._FAIL, "first"), KafkaError(KafkaError._FAIL, "second"), all_down]
    trouble = latest_trouble(errors)
    assert trouble is not None
    assert trouble.reason == "second"
    assert latest_trouble([all_down]) is None
