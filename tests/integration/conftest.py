"""Fixtures for tests with a real Kafka."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.topics import create_topic


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty directory to watch."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[KafkaNode]:
    """A broker that the test may stop or break."""
    with KafkaNode(tmp_path / "own kafka", heap_mb=256) as node:
        yield node


@pytest.fixture
def own_topic(own_kafka: KafkaNode) -> str:
    """A topic of that broker."""
    return create_topic(own_kafka.internal_bootstrap, 4)


@pytest.fixture
def own_config(tmp_path: Path, own_kafka: KafkaNode) -> Path:
    """A configuration file for that broker."""
    return client_config.write(tmp_path / "own.config", own_kafka.bootstrap)


@pytest.fixture
def slow_config(tmp_path: Path, kafka: KafkaNode) -> Path:
    """A configuration file with which a few megabytes take seconds: one message at a time."""
    one_by_one = {"batch.num.messages": "1", "max.in.flight": "1"}
    return client_config.write(tmp_path / "slow.config", kafka.bootstrap, producer=one_by_one)
