"""The properties of our Kafka clients: the user's own, and defaults for what matters and is left unset."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

from dfud.core.native import MESSAGE_OVERHEAD
from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig

_LIBRDKAFKA_MESSAGE_MAX = 1_000_000  # bytes, its own default of message.max.bytes
# A key may be as long as a path, and librdkafka counts key and headers as part of the message. OpenMSIStream's
# messages contain the path twice.
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

_COMMON_DEFAULTS: dict[str, str | int | bool] = {
    "client.id": "dfud",
    # librdkafka connects twice at the start: to the bootstrap address, then to the address that is advertised.
    "reconnect.backoff.ms": 20,
    "reconnect.backoff.max.ms": 2_000,
}

_DESERIALIZERS = {
    "key.deserializer": "StringDeserializer",
    "value.deserializer": "DataFileChunkDeserializer",
}
_NEW_GROUP = "create_new"  # OpenMSIStream's name for a group of its own
_FETCH_QUEUE_KBYTES = 32 * 1024  # of messages fetched ahead, in each consumer

_REFUSED = {
    "transactional.id": "dfud does not use transactions; remove it",
    "delivery.report.only.error": "dfud needs every acknowledgement; remove it",
}


def producer_properties(config: ClientConfig, chunk_size: int, queue_bytes: int) -> dict[str, str | int | bool]:
    """Return the properties of each producer; UsageError for settings that would lose data or cannot work.

    A producer's queue holds `queue_bytes`, unless the user has set that.
    """
    by_user = config.properties
    for name, advice in _REFUSED.items():
        if by_user.get(name, "false").lower() not in ("false", "f", "0", ""):
            raise UsageError(f"{name} in {config.path} cannot be used: {advice}")
    acks = _acks(config)
    needed = chunk_size + _MAX_MESSAGE_OVERHEAD
    defaults: dict[str, str | int | bool] = {
        **_COMMON_DEFAULTS,
        "linger.ms": 20,  # at most: see lingers_by_load
        "batch.size": max(_LIBRDKAFKA_MESSAGE_MAX, needed),
        "message.max.bytes": max(_LIBRDKAFKA_MESSAGE_MAX, needed),
        "queue.buffering.max.kbytes": queue_bytes // 1024,
        "queue.buffering.max.messages": 20_000,
        "partitioner": "murmur2_random",  # that of the Java client
        "socket.nagle.disable": True,
    }
    if acks in _ALL and not _rules_out_idempotence(config):
        defaults["enable.idempotence"] = True
    if not _user_acks(by_user):
        defaults["acks"] = "all"
    aliases = {"linger.ms": _LINGER_ALIAS, "acks": "request.required.acks"}
    properties = {
        name: value for name, value in defaults.items() if name not in by_user and aliases.get(name) not in by_user
    }
    properties.update(by_user)
    _check_message_max(config, chunk_size, properties)
    return properties


def consumer_properties(config: ClientConfig, group: str) -> dict[str, Any]:
    """Return the properties of each consumer, which is in `group`; UsageError for settings that cannot work.

    Offsets are committed only by us, once all that lies before them is on disk. The wire format is detected from
    each message, so OpenMSIStream's deserializers are accepted and left out.
    """
    by_user = dict(config.properties)
    for name, known in _DESERIALIZERS.items():
        value = by_user.pop(name, known)
        if value not in (known, ""):
            raise UsageError(f"{name} = {value} in {config.path} is not supported; remove it")
    if by_user.get("auto.offset.reset", "") in ("none", ""):  # OpenMSIStream's way to leave it unset
        by_user.pop("auto.offset.reset", None)
    defaults: dict[str, Any] = {
        **_COMMON_DEFAULTS,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": _FETCH_QUEUE_KBYTES,
        "fetch.message.max.bytes": 4 << 20,
        "fetch.queue.backoff.ms": 5,  # the queue is emptied quickly: fetch again soon, not after a second
    }
    if "max.partition.fetch.bytes" in by_user:
        del defaults["fetch.message.max.bytes"]  # an alias
    ours = {"group.id": group, "enable.auto.commit": False, "enable.auto.offset.store": False}
    return {**defaults, **by_user, **ours}


def group_id(config: ClientConfig, option: str | None) -> str | None:
    """Return the consumer group that the user chose, `option` before the file; None for a group of our own."""
    group = option or config.properties.get("group.id") or _NEW_GROUP
    return None if group == _NEW_GROUP else group


def lingers_by_load(config: ClientConfig) -> bool:
    """Return whether we may flush before ``linger.ms`` has passed: the user has not set it."""
    return "linger.ms" not in config.properties and _LINGER_ALIAS not in config.properties


def fit_to_topic(properties: dict[str, str | int | bool], by_user: dict[str, str], max_message_bytes: int) -> None:
    """Lower our own batch sizes to what the topic accepts; those set `by_user` stay."""
    for name in ("message.max.bytes", "batch.size"):
        if name not in by_user:
            properties[name] = min(int(properties[name]), max(max_message_bytes, 1000))


def message_bytes_needed(chunk_size: int) -> int:
    """Return the smallest ``max.message.bytes`` with which a topic accepts chunks of `chunk_size` bytes."""
    return chunk_size + MESSAGE_OVERHEAD


def batch_limit(properties: Mapping[str, Any]) -> int:
    """Return how many bytes of messages librdkafka sends in one batch, unless a single message is larger."""
    return min(int(properties.get(name, _LIBRDKAFKA_MESSAGE_MAX)) for name in ("batch.size", "message.max.bytes"))


def message_timeout(properties: Mapping[str, Any]) -> float:
    """Return after how many seconds librdkafka gives up on a message; infinity for never."""
    value = properties.get("message.timeout.ms", properties.get("delivery.timeout.ms", 300_000))
    return float(value) / 1000 or math.inf


def _user_acks(by_user: dict[str, str]) -> str | None:
    """Return the user's ``acks``, set under either of its names; None if it is not set."""
    return by_user.get("acks", by_user.get("request.required.acks"))


def _acks(config: ClientConfig) -> str:
    acks = _user_acks(config.properties) or "all"
    if acks == "0":
        raise UsageError(
            f"acks = 0 in {config.path} means that the broker acknowledges nothing, so nothing could be recorded; "
            "set it to all, or remove it"
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
