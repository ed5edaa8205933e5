"""How far the receivers of a topic have read, by the offsets that they have committed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException
from confluent_kafka.admin import AdminClient

from dfud.core.receiver_mark import receiver_mark, split_mark

_ANSWER_TIMEOUT_S = 10.0
_MAX_AT_ONCE = 100  # groups that are asked for

Positions = Mapping[int, int]  # offsets, by partition


class CommittedOffsets:
    """Responsible for the offsets of all consumer groups that send receipts, asked for once."""

    def __init__(self, admin: AdminClient) -> None:
        """Ask the broker. What this user may not see is left out, as are groups that do not answer."""
        self._offsets: dict[tuple[str, str], list[tuple[str, int, int]]] = {}  # by topic and mark
        self.trouble = ""  # why the groups cannot be listed
        try:
            listed = admin.list_consumer_groups(request_timeout=_ANSWER_TIMEOUT_S).result(2 * _ANSWER_TIMEOUT_S)
        except KafkaException as error:
            self.trouble = error.args[0].str()
            return
        except FutureTimeoutError:
            self.trouble = "the broker does not answer"
            return
        groups = [each.group_id for each in listed.valid]
        for at in range(0, len(groups), _MAX_AT_ONCE):
            self._ask(admin, groups[at : at + _MAX_AT_ONCE])

    def of(self, topic: str, topic_id: str, receiver: str) -> Positions | None:
        """Return what a receiver has committed of a topic; None if that is not known."""
        committed = self._offsets.get((topic, receiver_mark(receiver)))
        if committed is None:
            return None
        furthest: dict[int, int] = {}  # of several groups that a receiver has had
        for of_topic, number, offset in committed:
            if of_topic == topic_id or not (
                of_topic and topic_id
            ):  # or it was committed before the topic was made
                furthest[number] = max(offset, furthest.get(number, 0))
        return furthest

    def _ask(self, admin: AdminClient, groups: Iterable[str]) -> None:
        answers: list[Future[Any]] = []
        for group in groups:  # a request can be about one
            asked = admin.list_consumer_group_offsets(
                [ConsumerGroupTopicPartitions(group)], request_timeout=_ANSWER_TIMEOUT_S
            )
            answers += asked.values()
        for answer in answers:
            try:
                partitions = answer.result(2 * _ANSWER_TIMEOUT_S).topic_partitions
            except (KafkaException, FutureTimeoutError):
                continue
            for each in partitions or ():
                topic_id, mark = split_mark(each.metadata or "")
                if mark and each.error is None and each.offset >= 0:
                    known = self._offsets.setdefault((each.topic, mark), [])
                    known.append((topic_id.partition(" ")[0], each.partition, each.offset))
