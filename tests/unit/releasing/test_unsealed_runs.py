"""Nothing of a run goes before its manifest is sent, and that is once its marker is recorded."""

from __future__ import annotations

import pytest

from dfud.releasing.unsealed_runs import UnsealedRuns


@pytest.mark.parametrize(
    ("recorded", "found", "path", "stays"),
    [
        pytest.param([], [], b"a/f", True, id="no marker at all"),
        pytest.param([b"a/Done"], [], b"a/b/f", False, id="the marker has gone"),
        pytest.param([b"a/Done"], [b"a/Done"], b"a/Done", False, id="the marker itself"),
        pytest.param([b"a/Done"], [], b"ab/f", True, id="another folder"),
        pytest.param([b"Done"], [], b"a/f", False, id="all of DIR is a run"),
        pytest.param([b"a/b/Done"], [b"a/Done"], b"a/b/f", True, id="a run around it is to be sealed"),
        pytest.param([b"a/Done"], [b"a/Done.2"], b"a/f", True, id="it is to be sealed again"),
        pytest.param([b"a/f"], [b"a/f"], b"a/f", True, id="what is no marker"),
    ],
)
def test_what_stays(recorded: list[bytes], found: list[bytes], path: bytes, stays: bool) -> None:
    runs = UnsealedRuns(["Done*"])
    for each in recorded:
        runs.on_recorded(each)
    for each in found:
        runs.on_found(each)
    runs.check_found(lambda each: each in recorded)
    assert runs.have(path) == stays
