"""The copy of the shards that nobody can remove."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.layout import LogsFolder
from tests.helpers.full_disk import full_disk


@pytest.fixture
def logs(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), "T")
    folder.make()
    return folder


def test_what_a_dead_producer_has_written_is_known(logs: LogsFolder) -> None:
    copy = ShardCopy(logs, 0)
    assert (copy.sizes(), copy.last_sequence) == ({}, 0)
    for sequence, rows in ((3, [b"one\r\n", b"two\r\n"]), (3, [b"three\r\n"]), (4, [b"four\r\n"])):
        producer = os.fork()
        if not producer:
            copy.append(sequence, rows)
            os._exit(0)
        os.waitpid(producer, 0)
        copy.sizes()
    shutil.rmtree(logs.path)
    assert copy.sizes() == {3: 17, 4: 6}
    assert copy.last_sequence == 4
    assert b"".join(copy.rows(3)) == b"one\r\ntwo\r\nthree\r\n"
    assert b"".join(copy.rows(5)) == b""
    copy.close()
    copy.close()


def test_what_several_dead_producers_have_written_fits_into_one(logs: LogsFolder) -> None:
    first, second = ShardCopy(logs, 0), ShardCopy(logs, 0)
    first.append(1, [b"one"])
    os.write(first._descriptor, b"x" * 20)  # it was killed while it wrote
    second.append(2, [b"two", b"three"])
    with full_disk(40):
        assert not first.absorb(second)
    assert (first.sizes(), second.sizes()) == ({1: 3}, {2: 8})
    assert first.absorb(second)
    assert first.sizes() == {1: 3, 2: 8}
    assert [b"".join(first.rows(number)) for number in (1, 2)] == [b"one", b"twothree"]
    second.close()
    first.close()


def test_a_copy_that_could_not_be_made_absorbs_nothing(logs: LogsFolder) -> None:
    full, empty = ShardCopy(logs, 0), ShardCopy(logs, 0)
    full.append(1, [b"one"])
    empty.close()
    assert not empty.absorb(full)
    full.close()


def test_it_leaves_nothing_in_the_folder(logs: LogsFolder) -> None:
    copy = ShardCopy(logs, 0)
    copy.append(1, [b"x"])
    assert os.listdir(logs.path) == []
    copy.close()


def test_what_a_full_disk_cuts_off_is_not_known(logs: LogsFolder) -> None:
    copy = ShardCopy(logs, 0)
    child = os.fork()
    if not child:
        copy.append(1, [b"x" * 100])
        with full_disk(1000):
            copy.append(1, [b"y" * 5000])
        copy.append(2, [b"z"])
        os._exit(0)
    os.waitpid(child, 0)
    assert copy.sizes() == {1: 100}
    assert b"".join(copy.rows(1)) == b"x" * 100
    copy.close()


def test_without_a_file_nothing_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "nowhere"))
    copy = ShardCopy(LogsFolder(str(tmp_path / "nowhere"), "T"), 0)
    copy.append(1, [b"x"])
    assert copy.sizes() == {}
    copy.close()
