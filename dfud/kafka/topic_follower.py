"""Noticing that the topic is another one than before: made anew, deleted, or with more partitions."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from confluent_kafka import KafkaException

from dfud.kafka.topic_watch import TopicState, Watch

_MIN_ABSENCE_S = 3.0  # a topic that is made anew at once is not reported as deleted


class TopicFollower:
    """Responsible for what the broker says of the topic's name; it calls the handler of what has changed."""

    def __init__(
        self,
        watch: Watch,
        topic_id: str,
        on_replaced: Callable[[str], None],
        on_same: Callable[[TopicState], None],
        on_gone: Callable[[bool], None],
    ) -> None:
        """Follow the topic from `topic_id` on.

        `on_replaced` gets the id of another topic of this name, `on_same` what is there of the present one, and
        `on_gone` whether the topic was deleted or is there again.
        """
        self._watch = watch
        self._topic_id = topic_id
        self._on_replaced = on_replaced
        self._on_same = on_same
        self._on_gone = on_gone
        self._absent_since: float | None = None
        self._is_gone = False

    def hurry(self) -> None:
        """Ask as soon as possible: something has happened that a change of the topic would explain."""
        self._watch.hurry()

    def run_due(self, now: float) -> None:
        """Handle the broker's answer if there is one; KafkaException if a handler's question is not answered."""
        state = None
        with contextlib.suppress(KafkaException):  # reading says that the broker is away
            state = self._watch.poll()
        if state is None:
            return
        if not state.partitions:
            self._on_absent(now)
            return
        self._absent_since = None
        if self._is_gone:
            self._is_gone = False
            self._on_gone(False)
        if state.topic_id and self._topic_id not in ("", state.topic_id):
            self._on_replaced(state.topic_id)
        self._topic_id = state.topic_id or self._topic_id
        self._on_same(state)

    def _on_absent(self, now: float) -> None:
        if self._absent_since is None:
            self._absent_since = now
        if now < self._absent_since + _MIN_ABSENCE_S:
            self._watch.hurry()
        elif not self._is_gone:
            self._is_gone = True
            self._on_gone(True)
