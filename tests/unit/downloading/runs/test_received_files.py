"""All that a download of runs has received, wherever it is, by the paths on the topic."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest

from dfud.downloading.earlier_files import EarlierFiles
from dfud.downloading.runs.received_files import ReceivedFiles
from tests.helpers.downloading import native
from tests.helpers.fetching import NOW
from tests.helpers.staging import TOPIC, Staging, sealed

FILES = {b"a": b"1", b"data/b": b"22"}


@pytest.mark.parametrize("layout", ["bag", "plain"])
def test_files_in_all_places_have_the_paths_of_the_topic(tmp_path: Path, layout: str) -> None:
    with contextlib.closing(Staging(tmp_path, layout, with_ro_crate=True)) as staging:
        staging.take(*sealed(b"x/run7", FILES), *sealed(b"", {b"top": b"t"}), *native(b"run8/c", b"3", NOW))
        assert len(staging.look()) == 2
        staging.take(*native(b"x/run7/a", b"later", NOW + 1))
    (tmp_path / "x" / "of the user").write_text("mine")
    synced: list[None] = []

    def sync() -> None:
        if not synced:  # meanwhile, one of the files gets its place
            with contextlib.closing(Staging(tmp_path, layout)) as again:
                again.offset = 100
                again.take(*sealed(b"run8", {b"c": b"3"})[1:])
                assert len(again.look()) == 1
        synced.append(None)

    received = ReceivedFiles(str(tmp_path), f"download_from_{TOPIC}", TOPIC)
    with contextlib.closing(EarlierFiles(received, "", False, sync)) as earlier:
        files = {file.path: file.size for batch in earlier for file in batch}
    expected = {b"x/run7/a": 5, b"x/run7/data/b": 2, b"x/run7/Done": 4, b"top": 1, b"Done": 4, b"run8/c": 1}
    assert {path: size for path, size in files.items() if path != b"run8/Done"} == expected
    assert received.unread == 0
