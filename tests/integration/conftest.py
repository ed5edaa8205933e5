"""Fixtures for tests with a real Kafka."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.broker import client_config
from dfud.broker.node import KafkaNode


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty directory to watch."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def slow_config(tmp_path: Path, kafka: KafkaNode) -> Path:
    """A configuration file with which a few megabytes take seconds: one message at a time."""
    one_by_one = {"batch.num.messages": "1", "max.in.flight": "1"}
    return client_config.write(tmp_path / "slow.config", kafka.bootstrap, producer=one_by_one)
