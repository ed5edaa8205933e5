"""The properties of our Kafka consumers: the user's own, and a default for what matters and is left unset."""

from __future__ import annotations

from typing import Any

from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig

_DESERIALIZERS = {
    "key.deserializer": "StringDeserializer",
    "value.deserializer": "DataFileChunkDeserializer",
}
_NEW_GROUP = "create_new"  # as OpenMSIStream calls it
_QUEUE_KBYTES = 32 * 1024  # of messages fetched ahead, by each consumer


def group_id(config: ClientConfig, option: str | None) -> str | None:
    """Return the consumer group that the user asks for; None for one of our own choice."""
    wanted = option or config.properties.get("group.id") or _NEW_GROUP
    return None if wanted == _NEW_GROUP else wanted


def consumer_properties(config: ClientConfig, group: str) -> dict[str, Any]:
    """Return what a consumer is made with; UsageError for what can't work.

    Offsets are committed by us, when what lies before them is on disk, and by nobody else. Both wire formats
    are told apart by the messages themselves, so that OpenMSIStream's deserializers mean nothing here.
    """
    given = dict(config.properties)
    for name, known in _DESERIALIZERS.items():
        asked = given.pop(name, known)
        if asked not in (known, ""):
            raise UsageError(f"{name} = {asked} in {config.path} is none that dfud can read with; remove it")
    if given.get("auto.offset.reset", "") in ("none", ""):  # OpenMSIStream's way to leave it unset
        given.pop("auto.offset.reset", None)
    defaults: dict[str, Any] = {
        "client.id": "dfud",
        "auto.offset.reset": "earliest",
        "queued.max.messages.kbytes": _QUEUE_KBYTES,
        "fetch.message.max.bytes": 4 << 20,
        # What is fetched ahead is taken quickly: a full queue is looked at again soon, not after a second.
        "fetch.queue.backoff.ms": 5,
        "reconnect.backoff.ms": 20,  # librdkafka connects twice at the start: to the bootstrap address, and anew
        "reconnect.backoff.max.ms": 2_000,
    }
    if "max.partition.fetch.bytes" in given:
        del defaults["fetch.message.max.bytes"]
    ours = {"group.id": group, "enable.auto.commit": False, "enable.auto.offset.store": False}
    return {**defaults, **given, **ours}
