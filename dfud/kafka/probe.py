"""Asking a broker before a run: again and again, until it answers, or an error is permanent.

Whoever can wait is told why there is no answer yet, and waits as long as it takes; otherwise there is a deadline.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TypeVar

from confluent_kafka import KafkaError, KafkaException

PROBE_TIMEOUT_S = 15.0  # unless the caller waits
PERMANENT_ERRORS = (
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.GROUP_AUTHORIZATION_FAILED,
)

# Short at first, so that a permanent error is reported soon, and that the user hears of the waiting.
_FIRST_ANSWER_TIMEOUT_S = 0.25
_RETRY_INTERVAL_S = 0.1
# For whoever waits: a question makes librdkafka connect a hundred times a second, hence the pauses.
_MAX_ANSWER_TIMEOUT_S, _MAX_RETRY_INTERVAL_S = 1.0, 5.0
_MAX_SLOW_ANSWER_TIMEOUT_S = 30.0  # of a broker that nothing is wrong with but the line to it

Answer = TypeVar("Answer")
OnFailure = Callable[[str], None]  # is called with the reason for which there is no answer yet


class ProbeError(Exception):
    """The broker did not give an answer; `error` is what librdkafka reported as the cause, if it did."""

    def __init__(self, reason: str, error: KafkaError | None) -> None:
        """Keep the reason, which is for the user."""
        super().__init__(reason)
        self.error = error


def probe(
    ask: Callable[[float], Answer],
    reported: Callable[[], Sequence[KafkaError]],
    on_failure: OnFailure | None = None,
    clock: Callable[[], float] = time.monotonic,
    sleep: Callable[[float], None] = time.sleep,
) -> Answer:
    """Return what `ask(timeout in seconds)` returns; ask again as long as it raises KafkaException.

    `reported` returns the errors that the client has reported so far. Raises ProbeError once one of them is
    permanent, or, without `on_failure`, when a question fails after `PROBE_TIMEOUT_S`.
    """
    began = clock()
    timeout_s = _FIRST_ANSWER_TIMEOUT_S
    pause_s = _RETRY_INTERVAL_S
    latest: KafkaError | None = None
    while True:
        try:
            return ask(timeout_s)
        except KafkaException as raised:
            failure = raised
        errors = reported()
        permanent = next((error for error in errors if error.code() in PERMANENT_ERRORS), None)
        is_late = on_failure is None and clock() > began + PROBE_TIMEOUT_S
        if permanent or is_late:
            # That all brokers are down is only the consequence of another error.
            cause = permanent or next((e for e in errors if e.code() != KafkaError._ALL_BROKERS_DOWN), None)
            raise ProbeError(cause.str() if cause else reason_of(failure), cause)
        if on_failure is not None:
            on_failure(reason_of(failure))
            earlier, latest = latest, errors[-1] if errors else None
            left_s = _MAX_SLOW_ANSWER_TIMEOUT_S if latest is earlier else _MAX_ANSWER_TIMEOUT_S
        else:
            left_s = max(1.0, began + PROBE_TIMEOUT_S - clock())
        sleep(pause_s)
        pause_s = min(2 * pause_s, _MAX_RETRY_INTERVAL_S) if on_failure is not None else pause_s
        timeout_s = min(2 * timeout_s, left_s)


def reason_of(error: Exception) -> str:
    """Return why a call into librdkafka failed."""
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)
