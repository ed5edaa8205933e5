"""The topics of an upload that files do not go to: those of canaries, heartbeats and log messages."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dfud.announcing.options import AnnouncementOptions
from dfud.doctor.bounded import receive
from dfud.doctor.diagnosis import Diagnosis, fine, skipped, warning
from dfud.errors import DfudError
from dfud.kafka.topic import examine_topic
from dfud.kafka.topic_facts import TopicFacts
from dfud.processes.child import ChildCall


def check_canary_topic(topic: str, properties: Mapping[str, Any], config_path: str, timeout_s: float) -> Diagnosis:
    """Say whether canaries can be sent."""
    is_made = fine("canary", f"topic {topic} does not exist: the upload would create it")
    return _check("canary", topic, properties, config_path, timeout_s, is_made)


def check_announcement_topics(
    announcements: Iterable[AnnouncementOptions], config_path: str, timeout_s: float
) -> Iterator[Diagnosis]:
    """Say whether heartbeats and log messages can be sent, which an upload goes on without."""
    for each in announcements:
        is_missing = warning(each.kind, f"topic {each.topic} does not exist; create it")
        yield _check(each.kind, each.topic, each.config.properties, config_path, timeout_s, is_missing)


def _check(
    subject: str,
    topic: str,
    properties: Mapping[str, Any],
    config_path: str,
    timeout_s: float,
    if_absent: Diagnosis,
) -> Diagnosis:
    with ChildCall(examine_topic, topic, properties, config_path) as call:
        try:
            reason = receive(call, time.monotonic() + timeout_s)
        except DfudError as error:
            return warning(subject, str(error))
        if reason is not None:
            return skipped(subject, f"topic {topic} is not looked at: {reason or 'no answer'}")
        return judge_other_topic(subject, topic, call.result.facts, if_absent)


def judge_other_topic(subject: str, topic: str, facts: TopicFacts | None, if_absent: Diagnosis) -> Diagnosis:
    """Judge what the broker has said of such a topic."""
    if facts is None:
        return if_absent
    if facts.operations and "WRITE" not in facts.operations:
        return warning(subject, f"this user may not write to topic {topic}; grant the operation Write on it")
    return fine(subject, f"topic {topic} exists")
