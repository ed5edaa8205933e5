"""Fixtures for all tests: one real Kafka for the session, and fresh topics."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.dispositions import default_dispositions_for_children, ignore_lease_breaks
from tests.helpers.mounts import MountNamespace
from tests.helpers.quotas import SHORT_BURSTS
from tests.helpers.shared_kafka import VARIABLE, SharedKafka
from tests.helpers.topics import create_topic
from tests.helpers.unavailable import UnavailableError

default_dispositions_for_children()
ignore_lease_breaks()

# How long an example takes says only how busy a machine is.
settings.register_profile("each run", deadline=None, max_examples=50)
settings.register_profile("few examples", deadline=None, max_examples=10)  # for old Pythons
settings.register_profile("many examples", deadline=None, max_examples=1_000)
settings.load_profile("each run")


def pytest_collection_finish() -> None:
    """Have the garbage collector leave out the thousands of tests: many of them collect all garbage."""
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A running broker, shared by all runs of pytest: a test that stops or breaks a broker starts its own."""
    shared = os.environ.get(VARIABLE)
    if shared:
        yield SharedKafka(shared)
        return
    with KafkaNode(tmp_path_factory.mktemp("kafka"), properties=SHORT_BURSTS) as node:
        yield node


@pytest.fixture
def make_topic(kafka: KafkaNode) -> Callable[..., str]:
    """A factory of fresh topics: ``make_topic(partitions=4, max_message_bytes=2000)`` returns its name."""

    def make(partitions: int = 4, **settings: object) -> str:
        return create_topic(kafka.internal_bootstrap, partitions, settings=settings)

    return make


@pytest.fixture
def topic(make_topic: Callable[..., str]) -> str:
    """A fresh topic of four partitions."""
    return make_topic()


@pytest.fixture
def config_file(tmp_path: Path, kafka: KafkaNode) -> Path:
    """A configuration file for the broker, outside of the folders that tests upload."""
    folder = tmp_path / "config"
    folder.mkdir()
    return client_config.write(folder / "kafka.config", kafka.bootstrap)


@pytest.fixture
def namespace() -> Iterator[MountNamespace]:
    """A mount namespace."""
    try:
        with MountNamespace() as made:
            yield made
    except UnavailableError as error:
        pytest.skip(str(error))
