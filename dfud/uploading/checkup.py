"""What to ask a broker that acknowledges nothing, and what to change if it cannot receive what is sent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dfud.core.native import MESSAGE_OVERHEAD
from dfud.kafka.leader_trouble import leader_trouble
from dfud.kafka.request_limit import request_limit
from dfud.kafka.topic import topic_trouble
from dfud.uploading.renewable_producer import RenewableProducer
from dfud.uploading.send_window import MAX_SOCKET_TIMEOUT_S, SendWindow, socket_timeout

_MAX_REQUEST_BYTES = 1 << 31  # that Kafka's protocol allows


class Checkup:
    """Asks the broker for the cause of its silence, and fits what is sent to what it can receive."""

    def __init__(
        self,
        topic: str,
        properties: Mapping[str, Any],
        client: RenewableProducer,
        window: SendWindow,
        more_bytes: int = 0,
    ) -> None:
        """Each message is longer by `more_bytes` than its value and the headers of dfud."""
        self._topic = topic
        self._properties = properties
        self._client = client
        self._window = window
        self._overhead = MESSAGE_OVERHEAD + more_bytes
        self._socket_timeout_s = socket_timeout(properties)
        self._may_wait_longer = "socket.timeout.ms" not in properties  # the user has not set it
        self.max_request = _MAX_REQUEST_BYTES  # bytes that the broker receives at once, as far as it is known

    @property
    def max_chunk(self) -> int:
        """The length of the largest value that fits into a request (bytes)."""
        return self.max_request - self._overhead

    def find_trouble(self, silent_s: float, was_disturbed: bool) -> str:
        """Return why nothing has been acknowledged for `silent_s`, as far as the broker knows, or "".

        `was_disturbed` is whether connections were lost since. This may wait some seconds for the broker's answer.
        """
        trouble = topic_trouble(self._topic, self._properties) or leader_trouble(self._topic, self._properties)
        if not trouble and was_disturbed:
            self._fit_requests()
            self._wait_longer(silent_s)
        return trouble

    def _fit_requests(self) -> None:
        """Send smaller requests if the broker may close its connections because they are too large."""
        limit = request_limit(self._properties)
        if limit < self.max_request and self._window.unacked > limit - self._overhead:
            self.max_request = limit
            self._client.reduce_batches(limit // 2)

    def _wait_longer(self, silent_s: float) -> None:
        """Let librdkafka wait longer for an answer if a message takes a slow line longer than it waits.

        Otherwise it closes the connection, and sends the same message again, for ever.
        """
        timeout_s = self._socket_timeout_s
        if self._may_wait_longer and silent_s > timeout_s and timeout_s < MAX_SOCKET_TIMEOUT_S:
            self._socket_timeout_s = min(2 * timeout_s, MAX_SOCKET_TIMEOUT_S)
            self._client.wait_longer(int(self._socket_timeout_s * 1000))
