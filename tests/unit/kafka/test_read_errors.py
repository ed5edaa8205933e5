"""Errors that end the reading of a topic, and those that do not."""

from __future__ import annotations

import pytest
from confluent_kafka import KafkaError

from dfud.kafka.read_errors import describe, is_final, is_forbidden


@pytest.mark.parametrize(
    ("code", "final", "forbidden"),
    [
        (KafkaError.TOPIC_AUTHORIZATION_FAILED, True, True),
        (KafkaError._AUTHENTICATION, True, True),
        (KafkaError._BAD_MSG, False, False),
        (KafkaError.OFFSET_OUT_OF_RANGE, False, False),
        (KafkaError.UNKNOWN_TOPIC_OR_PART, True, False),
        (KafkaError.GROUP_AUTHORIZATION_FAILED, False, False),
        (KafkaError.INCONSISTENT_GROUP_PROTOCOL, False, False),
        (KafkaError.COORDINATOR_NOT_AVAILABLE, False, False),
        (KafkaError._ALL_BROKERS_DOWN, False, False),
        (KafkaError._TRANSPORT, False, False),
    ],
)
def test_which_errors_are_final(code: int, final: bool, forbidden: bool) -> None:
    error = KafkaError(code)
    assert (is_final(error), is_forbidden(error)) == (final, forbidden)


def test_what_is_said_of_an_error() -> None:
    large = KafkaError(KafkaError._BAD_MSG, "increase receive.message.max.bytes")
    assert is_final(large), "the client gets no further"
    assert "a message is larger than receive.message.max.bytes allows; raise it" in describe("scans", large)
    forbidden = KafkaError(KafkaError.TOPIC_AUTHORIZATION_FAILED, "not allowed")
    assert describe("scans", forbidden) == (
        "cannot read topic scans: not allowed; grant the user of this configuration the operation Read on it"
    )
