"""The properties of our Kafka clients: the user's own, and defaults for what matters and is left unset."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from dfud.core.native import MESSAGE_OVERHEAD
from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.setting_checks import refuse
from dfud.kafka.setting_conditions import rules_out_idempotence
from dfud.kafka.user_settings import TRUE_WORDS, UserSettings

_LIBRDKAFKA_MESSAGE_MAX = 1_000_000  # bytes, its own default of message.max.bytes

CLIENT_DEFAULTS: dict[str, str | int | bool] = {
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


def producer_properties(
    config: ClientConfig, chunk_size: int, queue_bytes: int, more_bytes: int = 0
) -> dict[str, str | int | bool]:
    """Return the properties of each producer; UsageError for settings that would lose data or cannot work.

    A producer's queue holds `queue_bytes`, unless the user has set that. Each message has `more_bytes` of headers
    of the user's own.
    """
    user = UserSettings(config.properties, "producer", chunk_size, config.wire, more_bytes)
    refuse(user, config.path)
    needed = user.message_bytes
    defaults: dict[str, str | int | bool] = {
        **CLIENT_DEFAULTS,
        "acks": "all",
        "linger.ms": 20,  # at most: see lingers_by_load
        "batch.size": max(_LIBRDKAFKA_MESSAGE_MAX, needed),
        "message.max.bytes": max(_LIBRDKAFKA_MESSAGE_MAX, needed),
        "queue.buffering.max.kbytes": queue_bytes // 1024,
        "queue.buffering.max.messages": 20_000,
        "partitioner": "murmur2_random",  # that of the Java client
        "socket.nagle.disable": True,
    }
    if not rules_out_idempotence(user):
        defaults["enable.idempotence"] = True
    properties = {name: value for name, value in defaults.items() if user.written(name) is None}
    properties.update(config.properties)
    properties.pop("delivery.report.only.error", None)  # it is false, but not a bool, as confluent_kafka wants it
    return properties


def consumer_properties(config: ClientConfig, group: str) -> dict[str, Any]:
    """Return the properties of each consumer, which is in `group`; UsageError for settings that cannot work.

    Offsets are committed only by us, once all that lies before them is on disk. The wire format is detected from
    each message, so OpenMSIStream's deserializers are accepted and left out.
    """
    user = UserSettings(config.properties, "consumer")
    refuse(user, config.path)
    by_user = dict(config.properties)
    for name, known in _DESERIALIZERS.items():
        value = by_user.pop(name, known)
        if value not in (known, ""):
            raise UsageError(f"{name} = {value} in {config.path} is not supported; remove it")
    if by_user.get("auto.offset.reset", "") in ("none", ""):  # OpenMSIStream's way to leave it unset
        by_user.pop("auto.offset.reset", None)
    defaults: dict[str, Any] = {
        **CLIENT_DEFAULTS,
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": _FETCH_QUEUE_KBYTES,
        "fetch.message.max.bytes": 4 << 20,
        "check.crcs": True,  # a damaged batch is named, and not taken for others' messages
        "fetch.queue.backoff.ms": 5,  # the queue is emptied quickly: fetch again soon, not after a second
    }
    if user.written("fetch.message.max.bytes") is not None:
        del defaults["fetch.message.max.bytes"]  # it may be set by its alias
    ours = {"group.id": group, "enable.auto.commit": False, "enable.auto.offset.store": False}
    return {**defaults, **by_user, **ours}


def group_id(config: ClientConfig, option: str | None) -> str | None:
    """Return the consumer group that the user chose, `option` before the file; None for a group of our own."""
    group = option or config.properties.get("group.id") or _NEW_GROUP
    return None if group == _NEW_GROUP else group


def lingers_by_load(config: ClientConfig) -> bool:
    """Return whether we may flush before ``linger.ms`` has passed: the user has not set it."""
    return UserSettings(config.properties, "producer").written("linger.ms") is None


def fit_to_topic(properties: dict[str, str | int | bool], by_user: dict[str, str], max_message_bytes: int) -> None:
    """Lower our own batch sizes to what the topic accepts; those set `by_user` stay."""
    for name in ("message.max.bytes", "batch.size"):
        if name not in by_user:
            properties[name] = min(int(properties[name]), max(max_message_bytes, 1000))


def message_bytes_needed(chunk_size: int, more_bytes: int = 0) -> int:
    """Return the smallest ``max.message.bytes`` with which a topic accepts chunks of `chunk_size` bytes.

    `more_bytes` are those of headers of the user's own.
    """
    return chunk_size + MESSAGE_OVERHEAD + more_bytes


def batch_limit(properties: Mapping[str, Any]) -> int:
    """Return how many bytes of messages librdkafka sends in one batch, unless a single message is larger."""
    return min(int(properties.get(name, _LIBRDKAFKA_MESSAGE_MAX)) for name in ("batch.size", "message.max.bytes"))


def is_idempotent(properties: Mapping[str, Any]) -> bool:
    """Return whether a producer with these properties is idempotent."""
    return str(properties.get("enable.idempotence", "")).strip().lower() in TRUE_WORDS


def message_timeout(properties: Mapping[str, Any]) -> float:
    """Return after how many seconds librdkafka gives up on a message; infinity for never."""
    value = properties.get("message.timeout.ms", properties.get("delivery.timeout.ms", 300_000))
    return float(value) / 1000 or math.inf
