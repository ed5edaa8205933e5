"""Topics that differ only in case, on a real file system that ignores case and on one that does not."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.files.open_folder import OpenFolder
from dfud.logs.layout import LogsFolder
from dfud.logs.spelling import check_spelling, record_spelling
from tests.helpers.mounts import MountNamespace
from tests.helpers.unavailable import UnavailableError

USE = """
import os, shutil, sys
from dfud.errors import UsageError
from dfud.logs.completed.shard_copy import ShardCopy
from dfud.logs.keeper import LogsKeeper
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.session import Session
from dfud.uploading.preflight import make_logs

folder = LogsFolder(sys.argv[1], "Scans")
make_logs(folder)
with open(folder.shard(0, 1), "wb") as shard:
    shard.write(b"row")
assert folder.shards() and folder.next_sequence() == 2, os.listdir(folder.path)
lock = DirectoryLock.take(folder, folder.lock, "uploading")
session = Session(lock.fileno())
session.begin(77)
with open(folder.completed, "wb") as table:
    table.write(b"table")
keeper = LogsKeeper(folder, lock, "uploading", lambda: session.content)
copy = ShardCopy(folder, 0)
copy.append(2, [b"row"])
copy.is_growing = False
shutil.rmtree(folder.path, ignore_errors=True)
keeper.check([copy])
repairs = keeper.check([copy])
assert not repairs.files, repairs
with open(folder.completed, "rb") as table:
    assert table.read() == b"table"
assert len(folder.shards()) == 2
make_logs(LogsFolder(sys.argv[1], "Scans"))
lock.close()
again = DirectoryLock.take(folder, folder.lock, "uploading")
assert Session(again.fileno()).unfinished_since() == 77
try:
    make_logs(LogsFolder(sys.argv[1], "scans"))
except UsageError as error:
    print(error)
"""


@pytest.fixture
def logs(tmp_path: Path) -> Path:
    (tmp_path / "LOGS").mkdir()
    return tmp_path / "LOGS"


@pytest.fixture
def without_case(logs: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the files of a topic under both spellings, as a file system without case has them."""
    monkeypatch.setattr(OpenFolder, "ignores_case", True)
    return logs


def of(logs: Path, topic: str) -> LogsFolder:
    return LogsFolder(str(logs.parent), topic)


def test_where_case_counts_nothing_is_refused_or_written(logs: Path) -> None:
    for topic in ("Scans", "scans"):
        check_spelling(of(logs, topic))
        record_spelling(of(logs, topic))
        Path(of(logs, topic).lock).touch()
    assert not of(logs, "Scans").ignores_case
    assert sorted(os.listdir(logs)) == [".upload_to_Scans.lock", ".upload_to_scans.lock"]


def test_the_first_topic_has_the_files(without_case: Path) -> None:
    check_spelling(of(without_case, "Scans"))
    record_spelling(of(without_case, "Scans"))
    os.symlink(of(without_case, "Scans").spelling, without_case / "x")
    os.link(of(without_case, "Scans").spelling, of(without_case, "scans").spelling)
    check_spelling(of(without_case, "Scans"))
    check_spelling(of(without_case, "other"))
    with pytest.raises(UsageError, match=r"^topics scans and Scans would have the same tables in .*LOGS, as this"):
        check_spelling(of(without_case, "scans"))


@pytest.mark.parametrize(("listed", "refused"), [("Scans", ""), ("scans", ""), ("SCANS", "SCANS"), ("others", "")])
def test_the_files_of_an_older_version_say_it_by_their_names(
    without_case: Path, listed: str, refused: str
) -> None:
    Path(of(without_case, listed).lock).touch()
    if refused:
        with pytest.raises(UsageError, match=f"^topics Scans and {refused} would"):
            check_spelling(of(without_case, "Scans"))
    else:
        check_spelling(of(without_case, "Scans"))


def test_a_real_file_system_without_case(tmp_path: Path, namespace: MountNamespace) -> None:
    """lowntfs-3g lists all names in lower case, and shows a removed file that is open under another name."""
    image, place = tmp_path / "image", tmp_path / "place"
    place.mkdir()
    with image.open("wb") as file:
        file.truncate(16 << 20)
    try:
        namespace.run("mkntfs", "-F", "-Q", "-q", image)
        namespace.mount_fuse("lowntfs-3g", "-o", "ignore_case", image, place)
    except (UnavailableError, FileNotFoundError) as error:
        pytest.skip(str(error))
    namespace.run("mkdir", place / "Logs")
    done = subprocess.run(
        [*namespace.by, sys.executable, "-c", USE, str(place)], capture_output=True, encoding="utf-8", check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("topics scans and Scans would have the same tables")
    namespace.unmount(place)
