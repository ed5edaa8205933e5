"""Which files are markers, and that these are uploaded whatever else is."""

from __future__ import annotations

import pytest

from dfud.core.names import UploadFilter
from dfud.core.run_markers import MarkerFilter, RunMarkers


@pytest.mark.parametrize(
    ("pattern", "path", "is_marker"),
    [
        ("Done.txt", b"Done.txt", True),
        ("Done.txt", b"run/Done.txt", True),
        ("Done.txt", b"run/DoneXtxt", False),
        ("Done.txt", b"run/Done.txt.tmp", False),
        ("Done.txt", b"run/done.txt", False),
        ("*Complete.txt", b"run/RTAComplete.txt", True),
        ("[", b"run/[", True),
        ("run?/end", b"run7/end", True),
        ("run?/end", b"x/run7/end", False),
        ("*/end", b"a/b/end", True),
        ("*", b"\xff\n", True),
    ],
)
def test_patterns(pattern: str, path: bytes, is_marker: bool) -> None:
    assert RunMarkers(["never", "*/never", pattern]).matches(path) == is_marker


def test_a_marker_is_accepted_although_the_expression_leaves_it_out() -> None:
    accepted = MarkerFilter(UploadFilter(".*[.]tif"), RunMarkers(["Done"]))
    assert accepted.accepts(b"run/a.tif")
    assert accepted.accepts(b"run/Done")
    assert not accepted.accepts(b"run/a.txt")
    assert not accepted.accepts(b"LOGS/Done")
