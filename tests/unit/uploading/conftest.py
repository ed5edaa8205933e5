"""What the tests of producers share."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from dfud.uploading.long_line import LongLine
from tests.helpers.producing import ProducerHarness, answer_without_trouble


@pytest.fixture
def make_harness(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., ProducerHarness]]:
    """A maker of the one lane of a test, with librdkafka's properties as arguments; its topic has no trouble."""
    answer_without_trouble(monkeypatch)
    with contextlib.ExitStack() as stack:

        def make(lingers_by_load: bool = True, line: LongLine | None = None, **properties: Any) -> ProducerHarness:
            return stack.enter_context(
                contextlib.closing(ProducerHarness(tmp_path, lingers_by_load, line, **properties))
            )

        yield make


@pytest.fixture
def harness(make_harness: Callable[..., ProducerHarness]) -> ProducerHarness:
    """A lane's producer in the test's hands."""
    return make_harness()
