"""The properties of our Kafka producers: the user's own, and a default for what matters and is left unset."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from dfud.core.native import MESSAGE_OVERHEAD
from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig

_LIBRDKAFKA_MESSAGE_MAX = 1_000_000  # bytes, its own default of message.max.bytes
# A key may be as long as a path, and librdkafka counts it and the headers into the message. OpenMSIStream's
# messages have the path twice.
_MAX_MESSAGE_OVERHEAD = 9 * 1024

# Set by the user, one of these makes an idempotent producer impossible.
_NOT_IDEMPOTENT: dict[str, Callable[[str], bool]] = {
    "max.in.flight.requests.per.connection": lambda value: int(value) > 5,
    "max.in.flight": lambda value: int(value) > 5,
    "retries": lambda value: int(value) < 1,
    "message.send.max.retries": lambda value: int(value) < 1,
    "queuing.strategy": lambda value: value != "fifo",
}
_LINGER_ALIAS = "queue.buffering.max.ms"
_ALL = ("all", "-1")

_REFUSED = {
    "transactional.id": "dfud does not use transactions; remove it",
    "delivery.report.only.error": "dfud counts on every acknowledgement; remove it",
}


def producer_properties(config: ClientConfig, chunk_size: int, queue_bytes: int) -> dict[str, str | int | bool]:
    """Return what each producer is made with; UsageError for what would lose or can't work.

    Its queue is of `queue_bytes`, unless the user has set that.
    """
    given = config.properties
    for name, advice in _REFUSED.items():
        if given.get(name, "false").lower() not in ("false", "f", "0", ""):
            raise UsageError(f"{name} in {config.path} can't be used: {advice}")
    acks = _acks(config)
    needed = chunk_size + _MAX_MESSAGE_OVERHEAD
    defaults: dict[str, str | int | bool] = {
        "client.id": "dfud",
        "linger.ms": 20,  # at the most: see lingers_by_load
        "batch.size": max(_LIBRDKAFKA_MESSAGE_MAX, needed),
        "message.max.bytes": max(_LIBRDKAFKA_MESSAGE_MAX, needed),
        "queue.buffering.max.kbytes": queue_bytes // 1024,
        "queue.buffering.max.messages": 20_000,
        "partitioner": "murmur2_random",  # that of the Java client
        "reconnect.backoff.ms": 20,  # librdkafka connects twice at the start: to the bootstrap address, and anew
        "reconnect.backoff.max.ms": 2_000,
        "socket.nagle.disable": True,
    }
    if acks in _ALL and not _rules_out_idempotence(config):
        defaults["enable.idempotence"] = True
    if not acks_given(given):
        defaults["acks"] = "all"
    aliases = {"linger.ms": _LINGER_ALIAS, "acks": "request.required.acks"}
    properties = {
        name: value for name, value in defaults.items() if name not in given and aliases.get(name) not in given
    }
    properties.update(given)
    _check_message_max(config, chunk_size, properties)
    return properties


def lingers_by_load(config: ClientConfig) -> bool:
    """Tell whether we may have messages sent before ``linger.ms`` is over: the user has not set it."""
    return "linger.ms" not in config.properties and _LINGER_ALIAS not in config.properties


def fit_to_topic(properties: dict[str, str | int | bool], given: dict[str, str], max_message_bytes: int) -> None:
    """Lower the batches of our own choice to what the topic takes; what the user set stays."""
    for name in ("message.max.bytes", "batch.size"):
        if name not in given:
            properties[name] = min(int(properties[name]), max(max_message_bytes, 1000))


def message_bytes_needed(chunk_size: int) -> int:
    """Return the least ``max.message.bytes`` of a topic for chunks of `chunk_size` bytes."""
    return chunk_size + MESSAGE_OVERHEAD


def batch_limit(properties: Mapping[str, Any]) -> int:
    """Return how many bytes of messages librdkafka sends in one batch, unless a single one is larger."""
    return min(int(properties.get(name, _LIBRDKAFKA_MESSAGE_MAX)) for name in ("batch.size", "message.max.bytes"))


def message_timeout(properties: Mapping[str, Any]) -> float:
    """Return after how many seconds librdkafka gives up on a message; infinity for never."""
    value = properties.get("message.timeout.ms", properties.get("delivery.timeout.ms", 300_000))
    return float(value) / 1000 or math.inf


def acks_given(given: dict[str, str]) -> str | None:
    """Return the user's ``acks``, under either of its names, if set."""
    return given.get("acks", given.get("request.required.acks"))


def _acks(config: ClientConfig) -> str:
    acks = acks_given(config.properties) or "all"
    if acks == "0":
        raise UsageError(
            f"acks = 0 in {config.path} has the broker acknowledge nothing, so that nothing could be recorded; "
            "use all, or remove it"
        )
    return acks


def _rules_out_idempotence(config: ClientConfig) -> bool:
    for name, rules_out in _NOT_IDEMPOTENT.items():
        value = config.properties.get(name)
        if value is None:
            continue
        try:
            if rules_out(value):
                return True
        except ValueError:
            raise UsageError(f"{name} = {value} in {config.path} is not a number") from None
    return False


def _check_message_max(config: ClientConfig, chunk_size: int, properties: dict[str, str | int | bool]) -> None:
    value = properties["message.max.bytes"]
    try:
        limit = int(value)
    except ValueError:
        raise UsageError(f"message.max.bytes = {value} in {config.path} is not a number") from None
    needed = message_bytes_needed(chunk_size)
    if limit < needed:
        raise UsageError(
            f"message.max.bytes = {limit} in {config.path} is too small for --chunk_size {chunk_size}; "
            f"set it to {needed} or more, or remove it"
        )
