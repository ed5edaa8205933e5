"""Create topics for tests."""

from __future__ import annotations

import itertools
import time
from collections.abc import Mapping

from confluent_kafka.admin import AdminClient, NewTopic

_TIMEOUT_S = 15.0
_NO_SETTINGS: Mapping[str, object] = {}
_numbers = itertools.count(1)


def create_topic(
    bootstrap: str, partitions: int = 4, replicas: int = 1, settings: Mapping[str, object] = _NO_SETTINGS
) -> str:
    """Create a topic with settings (``_`` for ``.`` in their names) and wait until its leaders are elected.

    The client is gone on return: a test may fork, and Python warns about forks of a process with threads.
    """
    name = f"topic_{next(_numbers)}"
    config = {key.replace("_", "."): str(value) for key, value in settings.items()}
    admin = AdminClient({"bootstrap.servers": bootstrap})
    created = admin.create_topics([NewTopic(name, partitions, replicas, config=config)])
    created[name].result(timeout=_TIMEOUT_S)
    deadline = time.monotonic() + _TIMEOUT_S
    while True:
        described = admin.list_topics(name, timeout=_TIMEOUT_S).topics[name].partitions
        if len(described) == partitions and all(p.leader >= 0 for p in described.values()):
            return name
        assert time.monotonic() < deadline, f"{name} has no leaders"
        time.sleep(0.02)
