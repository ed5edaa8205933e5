"""Conditions on what a user has set, for the table of `setting_rules`."""

from __future__ import annotations

from collections.abc import Callable

from dfud.kafka.user_settings import UserSettings

_MAX_IDEMPOTENT_IN_FLIGHT = 5

Condition = Callable[[UserSettings], bool]


def is_set(name: str) -> Condition:
    """Return the condition that a setting is not empty."""
    return lambda user: user.text(name) != ""


def is_true(name: str) -> Condition:
    """Return the condition that a setting is switched on."""
    return lambda user: user.is_true(name)


def is_false(name: str) -> Condition:
    """Return the condition that a setting is switched off."""
    return lambda user: user.is_false(name)


def is_not_zero(name: str) -> Condition:
    """Return the condition that a setting is a number other than 0."""
    return lambda user: user.number(name) not in (None, 0)


def is_word(name: str, *words: str) -> Condition:
    """Return the condition that a setting is one of `words`."""
    return lambda user: user.word(name) in words


def wants_more_than_one(user: UserSettings) -> bool:
    """Return whether messages are to be acknowledged by several brokers, but not by all."""
    return (user.number("acks") or 0) > 1


def needs_no_acknowledgement(user: UserSettings) -> bool:
    """Return whether messages are not acknowledged at all."""
    return user.number("acks") == 0


def may_change_order(user: UserSettings) -> bool:
    """Return whether a retry may overtake a later message."""
    return user.is_false("enable.idempotence") and user.number("max.in.flight") != 1


def rules_out_idempotence(user: UserSettings) -> bool:
    """Return whether librdkafka would refuse an idempotent producer because of what the user has set."""
    return (
        user.number("acks") not in (None, -1)
        or user.number("retries") == 0
        or user.word("queuing.strategy") not in ("", "fifo")
        or has_many_in_flight(user)
        or has_backlog_of_requests(user)
    )


def has_many_in_flight(user: UserSettings) -> bool:
    """Return whether more requests may be under way than an idempotent producer allows."""
    return (user.number("max.in.flight") or 0) > _MAX_IDEMPOTENT_IN_FLIGHT


def has_backlog_of_requests(user: UserSettings) -> bool:
    """Return whether more requests may wait to be sent than an idempotent producer allows."""
    return (user.number("queue.buffering.backpressure.threshold") or 0) > 1


def spreads_files(user: UserSettings) -> bool:
    """Return whether the chunks of a file go to several partitions."""
    return user.wire != "openmsistream" and user.word("partitioner") == "random"


def queue_is_too_small(user: UserSettings) -> bool:
    """Return whether no message with a whole chunk has room in librdkafka's queue."""
    kbytes = user.number("queue.buffering.max.kbytes")
    return kbytes is not None and bool(user.message_bytes) and kbytes * 1024 < user.message_bytes


def message_max_is_too_small(user: UserSettings) -> bool:
    """Return whether the client takes no message with a whole chunk."""
    return bool(user.chunk_size) and user.is_below("message.max.bytes", user.least_message_bytes)


def is_short(name: str, least: int) -> Condition:
    """Return the condition that a setting is above 0, and below `least`."""
    return lambda user: 0 < (user.number(name) or 0) < least
