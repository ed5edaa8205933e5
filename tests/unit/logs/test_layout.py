from __future__ import annotations

from pathlib import Path

import pytest

from dfud.logs.layout import MAX_TOPIC_CHARS, LogsFolder
from dfud.logs.lock import DirectoryLock


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    folder = tmp_path / "LOGS"
    folder.mkdir()
    return folder


def touch(logs: Path, *names: str) -> None:
    for name in names:
        (logs / name).touch()


def shards(logs: Path, topic: str) -> list[str]:
    return [Path(path).name for path in LogsFolder(str(logs.parent), topic).shards()]


def test_the_names_are_those_of_the_contract(logs: Path) -> None:
    folder = LogsFolder(str(logs.parent), "T")
    assert folder.log == str(logs / "DataFileUploadDirectory.log")
    assert folder.in_progress == str(logs / "upload_to_T_in_progress.csv")
    assert folder.completed == str(logs / "uploaded_to_T.csv")
    assert folder.shard(0, 3) == str(logs / "uploaded_to_T_p0_3.csv")


def test_shards_are_listed_oldest_first(logs: Path) -> None:
    touch(logs, *(f"uploaded_to_T_p{name}.csv" for name in ("0_10", "1_2", "0_2", "12", "0_3")))
    found = shards(logs, "T")
    assert found == [f"uploaded_to_T_p{name}.csv" for name in ("12", "0_2", "1_2", "0_3", "0_10")]
    assert LogsFolder(str(logs.parent), "T").next_sequence() == 11


def test_a_folder_without_shards_begins_at_1(logs: Path) -> None:
    assert LogsFolder(str(logs.parent), "T").next_sequence() == 1


def test_what_only_looks_like_a_shard_is_none(logs: Path) -> None:
    touch(
        logs,
        "uploaded_to_T.csv",
        "uploaded_to_T_p.csv",
        "uploaded_to_T_p0_.csv",
        "uploaded_to_T_p0_1.csv.bad",
        ".uploaded_to_T_p0_1.csv.7.tmp",
        "uploaded_to_T_p0_1_1.csv",
        "uploaded_to_T_p\u0663.csv",
        "uploaded_to_TT_p0_1.csv",
        "uploaded_to_T_p0_p1_1.csv",
        "my uploaded_to_T_p0_1.csv",
    )
    assert shards(logs, "T") == []


def test_a_dot_in_a_topic_is_a_dot(logs: Path) -> None:
    touch(logs, "uploaded_to_a.b_p0_1.csv", "uploaded_to_aXb_p0_2.csv")
    assert shards(logs, "a.b") == ["uploaded_to_a.b_p0_1.csv"]
    assert LogsFolder(str(logs.parent), "a.b").next_sequence() == 2


@pytest.mark.parametrize("known_by", ["lock", "in_progress"])
@pytest.mark.parametrize("other", ["T_p0", "T_p0_1"])
def test_the_table_of_another_topic_is_no_shard(logs: Path, other: str, known_by: str) -> None:
    theirs = LogsFolder(str(logs.parent), other)
    touch(logs, getattr(theirs, known_by), theirs.completed, "uploaded_to_T_p1_1.csv")
    assert shards(logs, "T") == ["uploaded_to_T_p1_1.csv"]
    assert LogsFolder(str(logs.parent), "T").next_sequence() == 2


def test_a_name_that_another_topic_has_is_not_free(logs: Path) -> None:
    ours, theirs = LogsFolder(str(logs.parent), "T"), LogsFolder(str(logs.parent), "T_p0_5")
    assert ours.is_free(0, 5)
    DirectoryLock.take(theirs.lock, "uploading DIR to topic T").close()
    assert not ours.is_free(0, 5)
    assert ours.is_free(0, 4)
    assert ours.is_free(1, 5)


def test_a_first_run_does_not_take_a_shard_for_its_table(logs: Path) -> None:
    t, other = LogsFolder(str(logs.parent), "T"), LogsFolder(str(logs.parent), "T_p0_1")
    touch(logs, t.lock, t.shard(0, 1))
    assert other.owner_of_completed() == "T"
    assert t.owner_of_completed() is None
    touch(logs, other.lock)  # it is known: the table is its own
    assert other.owner_of_completed() is None


def test_topics_that_end_alike_have_their_own_files(logs: Path) -> None:
    names = set()
    for topic in ("T", "T_in_progress", "T_p0", "T_p0_1", "T.", "T_p", "to_T"):
        folder = LogsFolder(str(logs.parent), topic)
        names |= {folder.lock, folder.in_progress, folder.completed}
    assert len(names) == 7 * 3


def test_the_leftovers_are_this_topics_temporary_files(logs: Path) -> None:
    ours = [
        ".upload_to_T_in_progress.csv.12.tmp",
        ".uploaded_to_T.csv.12.tmp",
        ".uploaded_to_T_p0_1.csv.12.tmp",
        ".uploaded_to_T_p1.csv.12.tmp",
    ]
    touch(logs, *ours)
    touch(
        logs,
        LogsFolder(str(logs.parent), "T_p7_1").lock,
        ".uploaded_to_T_p7_1.csv.12.tmp",
        ".uploaded_to_T2.csv.12.tmp",
        ".upload_to_T_in_progress_in_progress.csv.12.tmp",
        ".uploaded_to_T.csv.tmp",
        "uploaded_to_T.csv",
    )
    assert sorted(LogsFolder(str(logs.parent), "T").leftovers()) == sorted(str(logs / name) for name in ours)


def test_the_longest_topic_has_room_for_all_its_names(logs: Path) -> None:
    folder = LogsFolder(str(logs.parent), "T" * MAX_TOPIC_CHARS)
    for path in (folder.in_progress, folder.completed, folder.shard(999, 10**9), folder.lock):
        (logs / f".{Path(path).name}.{1 << 22}.tmp").touch()
        Path(f"{path}.bad").touch()
    assert len(folder.leftovers()) == 3
