"""A download of honest and hostile messages in any mixture; `tests.fuzz` does that for as long as one likes."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

import tests.fuzz
from tests.fuzz.play import play

CORPUS = Path(tests.fuzz.__file__).parent / "corpus"


def test_the_corpus() -> None:
    paths = list(CORPUS.iterdir())
    assert paths
    for path in paths:
        play(path.read_bytes())


@settings(max_examples=50)
@given(data=st.binary(max_size=300))
def test_any_topic(data: bytes) -> None:
    play(data)
