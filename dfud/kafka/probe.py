"""Asking a broker before a run: again and again, until it answers, a deadline passes or an error is permanent."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

PROBE_TIMEOUT_S = 15.0
PERMANENT_ERRORS = (KafkaError._AUTHENTICATION, KafkaError._SSL, KafkaError.TOPIC_AUTHORIZATION_FAILED)

_FIRST_ANSWER_TIMEOUT_S = 1.0  # short at first, so that a permanent error is reported soon
_RETRY_INTERVAL_S = 0.1

Answer = TypeVar("Answer")


class ProbeError(Exception):
    """The broker did not give an answer; `error` is what librdkafka reported as the cause, if it did."""

    def __init__(self, reason: str, error: KafkaError | None) -> None:
        """Keep the reason, which is for the user."""
        super().__init__(reason)
        self.error = error


def probe(
    ask: Callable[[float], Answer],
    reported: Callable[[], Sequence[KafkaError]],
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Return what `ask(timeout in seconds)` returns; ask again as long as it raises KafkaException.

    `reported` returns all errors that the client has reported so far. Raises ProbeError once one of them is
    permanent, or when a question fails after `PROBE_TIMEOUT_S`.
    """
    deadline = clock() + PROBE_TIMEOUT_S
    timeout_s = _FIRST_ANSWER_TIMEOUT_S
    while True:
        try:
            return ask(timeout_s)
        except KafkaException as error:
            reason = reason_of(error)
        errors = reported()
        permanent = next((error for error in errors if error.code() in PERMANENT_ERRORS), None)
        if permanent or clock() > deadline:
            # That all brokers are down is only the consequence of another error.
            cause = permanent or next((e for e in errors if e.code() != KafkaError._ALL_BROKERS_DOWN), None)
            raise ProbeError(cause.str() if cause else reason, cause)
        sleep(_RETRY_INTERVAL_S)
        timeout_s = min(2 * timeout_s, max(1.0, deadline - clock()))


def reason_of(error: Exception) -> str:
    """Return why a call into librdkafka failed."""
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)
