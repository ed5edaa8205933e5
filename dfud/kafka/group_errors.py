"""Why a consumer group cannot be used, and what to do about it."""

from __future__ import annotations

from confluent_kafka import KafkaError

IN_USE = (
    KafkaError.UNKNOWN_MEMBER_ID,
    KafkaError.ILLEGAL_GENERATION,
    KafkaError.REBALANCE_IN_PROGRESS,
    KafkaError.FENCED_INSTANCE_ID,
    KafkaError.STALE_MEMBER_EPOCH,
    KafkaError.NON_EMPTY_GROUP,
)
_NO_COORDINATOR = (
    KafkaError.COORDINATOR_NOT_AVAILABLE,
    KafkaError.COORDINATOR_LOAD_IN_PROGRESS,
    KafkaError._WAIT_COORD,
    KafkaError._TIMED_OUT,
)


def explain(error: KafkaError, group: str) -> str:
    """Return what `error` means for the user of a group."""
    code = error.code()
    if code == KafkaError.GROUP_AUTHORIZATION_FAILED:
        return (
            f"its ACLs do not allow this user to use consumer group {group}: grant the operation Read on it "
            f'(or on all groups that begin with "{group.rpartition("-")[0] or group}")'
        )
    if code == KafkaError.TOPIC_AUTHORIZATION_FAILED:
        return "its ACLs do not allow this user to read the topic: grant the operation Read on the topic"
    if code in IN_USE or code == KafkaError.INCONSISTENT_GROUP_PROTOCOL:
        return (
            f"consumer group {group} is in use by another program that subscribes with it: "
            "choose another --consumer_group_id, or end that program"
        )
    if code in _NO_COORDINATOR:
        return (
            f"no broker coordinates consumer group {group} ({error.str()}): check that topic __consumer_offsets "
            "is available; on fewer than three brokers, offsets.topic.replication.factor has to be lowered"
        )
    return str(error.str())
