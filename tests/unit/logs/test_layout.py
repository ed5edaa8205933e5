"""The names in LOGS, and which of them belong to a topic."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.logs.layout import MAX_TOPIC_CHARS, LogsFolder


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
    assert folder.shard(0, 3) == str(logs / "uploaded_to_T~p0_3.csv")


def test_shards_are_listed_oldest_first_by_old_names_and_new(logs: Path) -> None:
    touch(logs, *(f"uploaded_to_T{name}.csv" for name in ("~p0_10", "~p1_2", "~p0_2", "_p12", "_p0_3", "_p2_2")))
    found = shards(logs, "T")
    assert found == [f"uploaded_to_T{name}.csv" for name in ("_p12", "~p0_2", "~p1_2", "_p2_2", "_p0_3", "~p0_10")]


@pytest.mark.parametrize(
    ("names", "following"), [(("~p0_9", "_p0_4"), 10), (("~p0_4", "_p1_9"), 10), (("_p12",), 1), (("~p12_3",), 4)]
)
def test_the_next_sequence_follows_old_names_and_new(logs: Path, names: tuple[str, ...], following: int) -> None:
    touch(logs, *(f"uploaded_to_T{name}.csv" for name in names))
    assert LogsFolder(str(logs.parent), "T").next_sequence() == following


def test_a_folder_without_shards_begins_at_1(logs: Path) -> None:
    assert LogsFolder(str(logs.parent), "T").next_sequence() == 1


def test_what_only_resembles_a_shard_is_not_one(logs: Path) -> None:
    touch(
        logs,
        "uploaded_to_T.csv",
        "uploaded_to_T_p.csv",
        "uploaded_to_T_p0_.csv",
        "uploaded_to_T_p0_1.csv.bad",
        ".uploaded_to_T_p0_1.csv.7.tmp",
        "uploaded_to_T_p0_1_1.csv",
        "uploaded_to_T~p0_1_1.csv",
        "uploaded_to_T~p0_1.csv.bad",
        ".uploaded_to_T~p0_1.csv.7.tmp",
        "uploaded_to_T~.csv",
        "uploaded_to_T~0_1.csv",
        "uploaded_to_T~p0_x.csv",
        "uploaded_to_T_p\u0663.csv",
        "uploaded_to_TT_p0_1.csv",
        "uploaded_to_TT~p0_1.csv",
        "uploaded_to_T_p0~p0_1.csv",
        "uploaded_to_T_p0_p1_1.csv",
        "my uploaded_to_T_p0_1.csv",
    )
    assert shards(logs, "T") == []


def test_a_dot_in_a_topic_is_a_dot(logs: Path) -> None:
    touch(logs, "uploaded_to_a.b_p0_1.csv", "uploaded_to_aXb_p0_2.csv")
    assert shards(logs, "a.b") == ["uploaded_to_a.b_p0_1.csv"]
    assert LogsFolder(str(logs.parent), "a.b").next_sequence() == 2


@pytest.mark.parametrize("known_by", ["lock", "in_progress"])
@pytest.mark.parametrize("other", ["T_p0", "T_p0_7"])
def test_the_table_of_another_topic_is_not_a_shard(logs: Path, other: str, known_by: str) -> None:
    theirs = LogsFolder(str(logs.parent), other)
    touch(logs, getattr(theirs, known_by), theirs.completed, "uploaded_to_T_p1_1.csv", "uploaded_to_T~p0_1.csv")
    assert shards(logs, "T") == ["uploaded_to_T~p0_1.csv", "uploaded_to_T_p1_1.csv"]
    assert LogsFolder(str(logs.parent), "T").next_sequence() == 2
    assert shards(logs, other) == []


def test_the_shards_of_topics_called_like_old_shards_are_their_own(logs: Path) -> None:
    names = {
        topic: Path(LogsFolder(str(logs.parent), topic).shard(0, 1)).name for topic in ("T", "T_p0", "T_p0_1")
    }
    touch(logs, *names.values())
    assert {topic: shards(logs, topic) for topic in names} == {topic: [name] for topic, name in names.items()}


def test_topics_that_end_alike_have_their_own_files(logs: Path) -> None:
    names = set()
    for topic in ("T", "T_in_progress", "T_p0", "T_p0_1", "T.", "T_p", "to_T"):
        folder = LogsFolder(str(logs.parent), topic)
        names |= {folder.lock, folder.in_progress, folder.completed}
    assert len(names) == 7 * 3


def test_the_leftovers_are_this_topics_temporary_files(logs: Path) -> None:
    ours = [
        ".upload_to_T_in_progress.csv.12.tmp",
        ".upload_to_T_status.json.12.tmp",
        ".uploaded_to_T.csv.12.tmp",
        ".uploaded_to_T_p0_1.csv.12.tmp",
        ".uploaded_to_T_p1.csv.12.tmp",
        ".uploaded_to_T~p2_30.csv.12.tmp",
    ]
    touch(logs, *ours)
    touch(
        logs,
        LogsFolder(str(logs.parent), "T_p7_1").lock,
        ".uploaded_to_T_p7_1.csv.12.tmp",
        ".uploaded_to_T2.csv.12.tmp",
        ".uploaded_to_T2~p0_1.csv.12.tmp",
        ".uploaded_to_T_p7_1~p0_1.csv.12.tmp",
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
    assert len(folder.leftovers()) == 4
