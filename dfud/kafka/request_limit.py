"""How large a request brokers take: they close the connection on which a larger one arrives, and say nothing."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from confluent_kafka import KafkaException
from confluent_kafka.admin import ConfigResource, ResourceType

from dfud.kafka.admin import make_admin_client

_TIMEOUT_S = 3.0
_DEFAULT_BYTES = 104_857_600  # Kafka's


def request_limit(properties: Mapping[str, Any]) -> int:
    """Return the smallest ``socket.request.max.bytes`` of the brokers, or its default if this user may not ask.

    This waits for the brokers, up to 6 s.
    """
    limits = [_DEFAULT_BYTES]
    admin = make_admin_client(properties)
    with contextlib.suppress(KafkaException):
        brokers = [
            ConfigResource(ResourceType.BROKER, str(number))
            for number in admin.list_topics(timeout=_TIMEOUT_S).brokers
        ]
        limits = []
        for answer in admin.describe_configs(brokers, request_timeout=_TIMEOUT_S).values():
            with contextlib.suppress(KafkaException, FutureTimeoutError, KeyError):
                limits.append(int(answer.result(_TIMEOUT_S)["socket.request.max.bytes"].value))
    return min(limits, default=_DEFAULT_BYTES)
