"""The version of a path that was sent last is the one that the directory has, whatever was there before."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from dfud.core.ranges import RangeSet
from dfud.core.tables import InProgressRow, format_table, in_progress_row
from dfud.core.version import FileStamp, FileVersion
from tests.helpers.downloading import contents, download_once, leftovers, native, produce
from tests.helpers.last_versions import assert_topic_has_what_is_there
from tests.helpers.reader import read_topic
from tests.helpers.uploading import completed, upload_once, uploading, wait_until
from tests.helpers.verifying import verify

YEAR_2020 = 1_577_836_800
CONTENTS = {"A": b"a" * 40_000, "B": b"b" * 30_000}


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    """A folder with two versions of a file, the second of which is older."""
    folder = tmp_path / "versions"
    folder.mkdir()
    for age, (name, content) in enumerate(CONTENTS.items()):
        (folder / name).write_bytes(content)
        os.utime(folder / name, (YEAR_2020 - age, YEAR_2020 - age))
    return folder


def put(versions: Path, name: str, place: Path) -> None:
    """Move a copy of a version, which has its times, to a place."""
    copy = shutil.copy2(versions / name, versions / "copy")
    os.rename(copy, place)


def wait_for_rows(directory: Path, topic: str, number: int) -> None:
    wait_until(lambda: len(completed(directory, topic)) == number)


@pytest.mark.parametrize("options", [(), ("--use_polling_observer",)], ids=["events", "polling"])
def test_a_version_that_comes_back_is_sent_again(
    directory: Path, versions: Path, config_file: Path, kafka: KafkaNode, topic: str, options: tuple[str, ...]
) -> None:
    (directory / "other").write_bytes(b"recorded before")
    upload_once(directory, config_file, topic)
    with uploading(directory, config_file, topic, "--n_threads", 2, *options) as upload:
        for number, name in enumerate("ABAB"):
            put(versions, name, directory / "file")
            wait_for_rows(directory, topic, number + 2)
            assert_topic_has_what_is_there(directory, kafka.bootstrap, topic)
        upload.quit()
    rows = [row["size"] for row in completed(directory, topic) if row["rel_filepath"] == "file"]
    assert rows == ["40000", "30000", "40000", "30000"]
    before = len(read_topic(kafka.bootstrap, topic))
    upload_once(directory, config_file, topic)
    assert len(read_topic(kafka.bootstrap, topic)) == before


def test_a_version_that_comes_back_between_two_runs_is_sent_again(
    directory: Path, versions: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    for name in "ABAB":
        put(versions, name, directory / "file")
        for _ in range(2):
            upload_once(directory, config_file, topic)
        assert_topic_has_what_is_there(directory, kafka.bootstrap, topic)
    assert len(completed(directory, topic)) == 4


@pytest.mark.parametrize("when", ["before it is recorded", "after it is recorded"])
def test_a_version_that_comes_back_across_a_kill_is_sent_again(
    directory: Path, versions: Path, config_file: Path, kafka: KafkaNode, topic: str, when: str
) -> None:
    put(versions, "A", directory / "file")
    upload_once(directory, config_file, topic)
    with uploading(directory, config_file, topic) as upload:
        before = len(read_topic(kafka.bootstrap, topic))
        put(versions, "B", directory / "file")
        if when == "before it is recorded":
            wait_until(lambda: len(read_topic(kafka.bootstrap, topic)) == before + 2)
        else:
            wait_until(lambda: len(completed(directory, topic)) == 2)
        upload.kill()
    put(versions, "A", directory / "file")
    upload_once(directory, config_file, topic)
    assert_topic_has_what_is_there(directory, kafka.bootstrap, topic)


def test_a_version_that_comes_back_after_the_run_that_noticed_the_kill_is_sent_again(
    directory: Path, versions: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    put(versions, "A", directory / "file")
    upload_once(directory, config_file, topic)
    os.rename(directory / "file", versions / "A again")
    table = directory / "LOGS" / f"upload_to_{topic}_in_progress.csv"
    before = (directory / "LOGS" / f"uploaded_to_{topic}.csv").read_bytes()
    put(versions, "B", directory / "file")
    upload_once(directory, config_file, topic)
    # As a kill leaves it after the last acknowledgement: with B on the topic, and nobody who knows.
    (directory / "LOGS" / f"uploaded_to_{topic}.csv").write_bytes(before)
    status = os.stat(directory / "file")
    row = in_progress_row(FileVersion(b"file", status.st_size, status.st_mtime_ns), 1 << 20, RangeSet(), "then")
    table.write_text(format_table(InProgressRow, [row]))
    os.unlink(directory / "file")
    upload_once(directory, config_file, topic)
    os.rename(versions / "A again", directory / "file")
    for _ in range(2):
        upload_once(directory, config_file, topic)
        assert_topic_has_what_is_there(directory, kafka.bootstrap, topic)
    assert [row["size"] for row in completed(directory, topic)] == ["40000", "40000"]


@pytest.mark.parametrize("is_running", [False, True], ids=["once", "running"])
def test_a_file_that_becomes_a_folder_and_back_is_sent_again(
    directory: Path, versions: Path, config_file: Path, kafka: KafkaNode, topic: str, is_running: bool
) -> None:
    aside = versions / "aside"
    path = directory / "x"

    def be_a_file() -> None:
        os.rename(path, aside)
        put(versions, "A", path)

    def be_a_folder() -> None:
        path.unlink()
        os.rename(aside, path)

    path.mkdir()
    put(versions, "A", path / "y")
    put(versions, "B", path / "z")
    upload_once(directory, config_file, topic)
    n_rows = 2
    if not is_running:
        for change, n_new in ((be_a_file, 1), (be_a_folder, 2)) * 2:
            change()
            for _ in range(2):
                upload_once(directory, config_file, topic)
            n_rows += n_new
            assert len(completed(directory, topic)) == n_rows
            assert_topic_has_what_is_there(directory, kafka.bootstrap, topic)
        return
    with uploading(directory, config_file, topic) as upload:
        for change, n_new in ((be_a_file, 1), (be_a_folder, 2)) * 2:
            change()
            n_rows += n_new
            wait_for_rows(directory, topic, n_rows)
            assert_topic_has_what_is_there(directory, kafka.bootstrap, topic)
        upload.quit()


@pytest.mark.parametrize("rival", ["x", "x/y/z/file"], ids=["a file above", "a file below"])
def test_a_file_that_was_sent_in_part_before_what_was_in_its_place_for_a_while_is_sent_as_a_whole(
    tmp_path: Path, directory: Path, versions: Path, config_file: Path, kafka: KafkaNode, topic: str, rival: str
) -> None:
    """Its folder is moved away and back, which changes neither its ctime nor its inode."""
    path, aside, many = directory / "x/y/z", versions / "aside", tmp_path / "many"
    path.parent.mkdir(parents=True)
    put(versions, "A", path)
    status = os.stat(path)
    version = FileVersion(b"x/y/z", status.st_size, status.st_mtime_ns)
    produce(kafka.bootstrap, topic, native(b"x/y/z", CONTENTS["A"], status.st_mtime_ns, 16384)[:2])
    stamp = FileStamp(status.st_ctime_ns, status.st_ino)
    row = in_progress_row(version, 16384, RangeSet([(1, 2)]), "then", stamp)
    (directory / "LOGS").mkdir()
    (directory / "LOGS" / f"upload_to_{topic}_in_progress.csv").write_text(format_table(InProgressRow, [row]))
    assert "x/y/z" in download_once(many, config_file, topic, status=1)
    os.rename(directory / "x", aside)
    with uploading(directory, config_file, topic) as upload:
        (directory / rival).parent.mkdir(parents=True, exist_ok=True)
        put(versions, "B", directory / rival)
        wait_for_rows(directory, topic, 1)
        upload.quit(status=1)
    download_once(many, config_file, topic)
    assert contents(many) == contents(directory) == {os.fsencode(rival): CONTENTS["B"]}
    os.rename(directory / "x", versions / "was there for a while")
    os.rename(aside, directory / "x")
    upload_once(directory, config_file, topic)
    assert_topic_has_what_is_there(directory, kafka.bootstrap, topic)
    assert verify(directory, config_file, topic)[0] == 0
    for copy in (tmp_path / "one", many):
        download_once(copy, config_file, topic)
        assert contents(copy) == {b"x/y/z": CONTENTS["A"]}
        assert leftovers(copy, topic) == []


_WITH_CLOCK = """
import sys, time
real, ahead_ns = time.time_ns, int(sys.argv.pop(1)) * 10**9
time.time_ns = lambda: real() + ahead_ns
from dfud.commands.main import main
sys.exit(main())
"""


@pytest.mark.parametrize(("ahead_s", "is_accepted"), [(1_800, True), (3 * 3_600, False)])
def test_what_is_sent_after_the_clock_was_set_back_has_no_earlier_time(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, ahead_s: int, is_accepted: bool
) -> None:
    """A broker that does not accept so late a time gets the machine's."""
    (directory / "one").write_bytes(b"1")
    words = ["upload", directory, "--config", config_file, "--topic_name", topic, "--once"]
    subprocess.run([sys.executable, "-c", _WITH_CLOCK, *map(str, (ahead_s, *words))], check=True, timeout=60)
    (directory / "two").write_bytes(b"2")
    text = upload_once(directory, config_file, topic)
    assert "behind the time of the last upload" in text
    first, second = (datetime.fromisoformat(row["completed"]).timestamp() for row in completed(directory, topic))
    sent = {message.key: message.timestamp_ms / 1000 for message in read_topic(kafka.bootstrap, topic)}
    assert (sent[b"two"] > first) == is_accepted
    assert (second > first) == is_accepted
