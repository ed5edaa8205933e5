"""LOGS as a thing of the file system, with a real Kafka: removed, replaced, planted, and put elsewhere."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.downloading import download_once
from tests.helpers.mounts import MountNamespace
from tests.helpers.stopping import stopped_process
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import (
    WAIT_S,
    assert_all_there,
    completed,
    files_on,
    in_progress,
    upload_once,
    uploading,
    wait_until,
)

OPTIONS = [pytest.param([], id="events"), pytest.param(["--use_polling_observer"], id="polling")]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty directory to upload."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A file of somebody else, which must stay as it is."""
    path = tmp_path / "outside"
    path.mkdir()
    (path / "file").write_bytes(b"somebody else's\n")
    return path


def run(command: str, *words: object, by: list[str] | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command of dfud; return its end."""
    done = subprocess.run(
        [*(by or []), sys.executable, "-m", "dfud", command, *map(str, words)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        encoding="utf-8",
        errors="replace",
        timeout=WAIT_S,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def verify(directory: Path, config: Path, topic: str, *options: object) -> None:
    """Check that all is on the topic, recorded, and as recorded."""
    done = run("verify", directory, "--config", config, "--topic_name", topic, *options)
    assert done.returncode == 0, done.stdout + done.stderr


def remove_as_a_mirror_does(directory: Path) -> None:
    """Remove LOGS as ``rsync -a --delete`` does, which complains about what is made again meanwhile."""
    subprocess.run(["rm", "-r", directory / "LOGS"], stderr=subprocess.DEVNULL, check=False)


def write_files(directory: Path, prefix: str, number: int) -> None:
    for at in range(number):
        (directory / f"{prefix}{at}").write_bytes(b"%d" % at)


def is_there(path: Path, content: bytes) -> bool:
    """Return whether a file is there, with this content."""
    try:
        return path.read_bytes() == content
    except FileNotFoundError:
        return False


# Removed while dfud runs


@pytest.mark.parametrize("options", OPTIONS)
def test_a_mirror_that_removes_it_loses_nothing(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, options: list[str]
) -> None:
    write_files(directory, "before", 3)
    upload_once(directory, config_file, topic)
    with uploading(directory, config_file, topic, "--n_threads", "1", *options) as upload:
        write_files(directory, "new", 1300)  # more than a shard has
        wait_until(lambda: len(completed(directory, topic)) == 1303)
        remove_as_a_mirror_does(directory)
        wait_until(lambda: len(completed(directory, topic)) == 1303)
        wait_until((directory / "LOGS" / f"upload_to_{topic}_in_progress.csv").exists)
        upload_once(directory, config_file, topic, status=75)
        (directory / "later").write_bytes(b"x")
        wait_until(lambda: len(completed(directory, topic)) == 1304)
        upload.kill()
    assert (directory / "LOGS" / "DataFileUploadDirectory.log").exists()
    upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic)
    verify(directory, config_file, topic)


def test_what_is_in_progress_is_known_after_a_kill(
    directory: Path, own_config: Path, own_kafka: KafkaNode, own_topic: str
) -> None:
    topic = own_topic
    with uploading(directory, own_config, topic) as upload:
        with stopped_process(own_kafka.pid):
            source = directory.parent / "old"
            source.write_bytes(b"older than the run")
            os.utime(source, (1, 1))
            write_files(directory, "new", 20)
            source.rename(directory / "old")
            wait_until(lambda: len(in_progress(directory, topic)) == 21)
            remove_as_a_mirror_does(directory)
            wait_until(lambda: len(in_progress(directory, topic)) == 21)
            upload.kill()
    upload_once(directory, own_config, topic)
    assert_all_there(directory, own_kafka.bootstrap, topic, once=False)
    verify(directory, own_config, topic)


def test_whatever_is_removed_or_replaced_is_made_again(directory: Path, config_file: Path, topic: str) -> None:
    logs = directory / "LOGS"
    lock, in_progress_table = logs / f".upload_to_{topic}.lock", logs / f"upload_to_{topic}_in_progress.csv"
    table, shard = logs / f"uploaded_to_{topic}.csv", logs / f"uploaded_to_{topic}~p0_1.csv"
    write_files(directory, "before", 3)
    upload_once(directory, config_file, topic)
    with uploading(directory, config_file, topic, "--n_threads", "1") as upload:
        write_files(directory, "new", 3)
        wait_until(lambda: len(completed(directory, topic)) == 6 and not in_progress(directory, topic))
        contents = {path: path.read_bytes() for path in (lock, in_progress_table, table, shard)}
        for path, content in contents.items():
            path.unlink()
            wait_until(partial(is_there, path, content))
            upload_once(directory, config_file, topic, status=75)
            (logs / "stale").write_bytes(b"stale")
            (logs / "stale").rename(path)
            wait_until(partial(is_there, path, content))
            upload_once(directory, config_file, topic, status=75)
        logs.rename(directory.parent / "moved away")
        wait_until(lambda: all(is_there(path, contents[path]) for path in contents))
        upload_once(directory, config_file, topic, status=75)
        upload.quit()
    assert len(completed(directory, topic)) == 6
    verify(directory, config_file, topic)


@pytest.mark.parametrize("options", OPTIONS)
def test_the_new_one_is_not_uploaded(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, options: list[str]
) -> None:
    with uploading(directory, config_file, topic, *options, "--upload_regex", ".*") as upload:
        write_files(directory, "new", 3)
        wait_until(lambda: len(completed(directory, topic)) == 3)
        shutil.move(directory / "LOGS", directory.parent / "moved away")
        wait_until(lambda: len(completed(directory, topic)) == 3)
        (directory / "last").write_bytes(b"x")
        wait_until(lambda: len(completed(directory, topic)) == 4)
        upload.quit()
    assert files_on(kafka.bootstrap, topic).keys() == {b"new0", b"new1", b"new2", b"last"}


def test_a_link_that_is_planted_meanwhile_is_not_followed(
    directory: Path, config_file: Path, topic: str, outside: Path
) -> None:
    with uploading(directory, config_file, topic) as upload:
        (directory / "LOGS").rename(directory.parent / "moved away")
        (directory / "LOGS").symlink_to(outside)
        upload.wait_for("ERROR: .*LOGS.* again: it is a link or a file, not a folder; remove it; retrying")
        (directory / "file").write_bytes(b"x")
        upload.wait_for("file: .*acknowledged")
        (directory / "LOGS").unlink()
        wait_until(lambda: len(completed(directory, topic)) == 1)
        upload.quit()
    assert os.listdir(outside) == ["file"]
    verify(directory, config_file, topic)


# Planted before dfud starts


def test_a_link_in_its_place_is_refused(
    directory: Path, config_file: Path, topic: str, outside: Path, tmp_path: Path
) -> None:
    (directory / "file").write_bytes(b"x")
    (directory / "LOGS").symlink_to(outside)
    arguments = ["--config", config_file, "--topic_name", topic]
    for command, options in (
        ("upload", [*arguments, "--once"]),
        ("download", [*arguments, "--once"]),
        ("verify", arguments),
        ("status", []),
    ):
        done = run(command, directory, *options)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2, (command, done.stderr)
        assert f"{directory}/LOGS: it is a link or a file, not a folder; remove it" in line
    assert os.listdir(outside) == ["file"]


def plant_fifo(_: Path, name: Path) -> None:
    os.mkfifo(name)


@pytest.mark.parametrize("plant", [os.symlink, os.link, plant_fifo], ids=["symlink", "hard link", "fifo"])
@pytest.mark.parametrize(
    "name",
    [
        ".upload_to_{}.lock",
        "DataFileUploadDirectory.log",
        "upload_to_{}_in_progress.csv",
        "upload_to_{}_status.json",
        "uploaded_to_{}.csv",
        "uploaded_to_{}~p0_1.csv",
        "uploaded_to_{}.csv.bad",
        ".upload_to_{}_in_progress.csv.1.tmp",
    ],
)
def test_nothing_in_it_leads_outside(
    directory: Path,
    config_file: Path,
    topic: str,
    outside: Path,
    name: str,
    plant: Callable[[Path, Path], None],
) -> None:
    """What is read and refused is refused with its name; what is replaced is replaced."""
    (directory / "LOGS").mkdir()
    (directory / "file").write_bytes(b"x")
    if name.endswith(".bad"):
        (directory / "LOGS" / f"uploaded_to_{topic}.csv").write_text("not a row\n")
    planted = directory / "LOGS" / name.format(topic)
    plant(outside / "file", planted)
    (outside / "file").chmod(0o600)
    done = run("upload", directory, "--config", config_file, "--topic_name", topic, "--once")
    assert done.returncode in (0, 1, 2), done.stdout + done.stderr
    if done.returncode == 2:
        (line,) = done.stderr.splitlines()
        assert str(planted) in line
        assert "; remove it" in line
    assert (outside / "file").read_bytes() == b"somebody else's\n"
    assert stat.S_IMODE((outside / "file").stat().st_mode) == 0o600
    run("status", directory)
    run("verify", directory, "--config", config_file, "--topic_name", topic)


@pytest.mark.parametrize("plant", [os.symlink, os.link, plant_fifo], ids=["symlink", "hard link", "fifo"])
@pytest.mark.parametrize(
    "name",
    [
        ".download.lock",
        "DataFileDownloadDirectory.log",
        "download_from_{}_incomplete.csv",
        "download_from_{}",
        "download_from_{}/groups",
    ],
)
def test_nothing_in_that_of_a_download_leads_outside(
    directory: Path,
    config_file: Path,
    topic: str,
    outside: Path,
    name: str,
    plant: Callable[[Path, Path], None],
) -> None:
    planted = directory / "LOGS" / name.format(topic)
    planted.parent.mkdir(parents=True)
    plant(outside / "file", planted)
    done = run("download", directory, "--config", config_file, "--topic_name", topic, "--once")
    assert done.returncode in (0, 2), done.stdout + done.stderr
    if done.returncode == 2:
        (line,) = done.stderr.splitlines()
        assert str(planted) in line
        assert "; remove it" in line
    assert (outside / "file").read_bytes() == b"somebody else's\n"


def test_it_is_not_open_to_others_whatever_the_umask(directory: Path, config_file: Path, topic: str) -> None:
    directory.chmod(0o777)
    (directory / "LOGS").mkdir()
    (directory / "LOGS").chmod(0o777)
    write_files(directory, "file", 3)
    upload_once(directory, config_file, topic, by=["sh", "-c", 'umask 0; exec "$0" "$@"'])
    for path in [directory / "LOGS", *(directory / "LOGS").iterdir()]:
        mode = stat.S_IMODE(path.stat().st_mode)
        assert mode == (0o644 if path.is_file() else 0o775), path


# Elsewhere


def test_a_directory_that_is_read_only(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, tmp_path: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    write_files(directory, "file", 5)
    try:
        with MountNamespace() as namespace:
            namespace.bind(directory, directory)
            namespace.run("mount", "-o", "remount,bind,ro", directory)
            upload_once(directory, config_file, topic, status=2, by=namespace.by)
            for _ in range(2):
                upload_once(directory, config_file, topic, "--state_dir", state, by=namespace.by)
            arguments = [directory, "--config", config_file, "--topic_name", topic, "--state_dir", state]
            done = run("verify", *arguments, by=namespace.by)
            assert done.returncode == 0, done.stdout + done.stderr
    except UnavailableError as error:
        pytest.skip(str(error))
    assert not (directory / "LOGS").exists()
    assert_all_there(directory, kafka.bootstrap, topic)
    assert len(completed(state, topic)) == 5
    done = run("status", directory, "--state_dir", state)
    assert "completed:   5 files" in done.stdout


def test_one_state_folder_is_for_one_directory(
    directory: Path, config_file: Path, topic: str, tmp_path: Path
) -> None:
    for name in ("state", "other"):
        (tmp_path / name).mkdir()
    (directory / "file").write_bytes(b"x")
    options = ["--config", config_file, "--topic_name", topic, "--state_dir", tmp_path / "state"]
    assert run("upload", directory, *options, "--once").returncode == 0
    for command, more in (("upload", ["--once"]), ("verify", []), ("status", [])):
        words = options[-2:] if command == "status" else options
        done = run(command, tmp_path / "other", *words, *more)
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2
        assert f"state/LOGS belongs to {directory}, not to {tmp_path / 'other'}" in line
    assert not (tmp_path / "other" / "LOGS").exists()


@pytest.mark.parametrize("options", [["--once"], *(each.values[0] for each in OPTIONS)])
def test_a_state_folder_below_the_directory_is_not_uploaded(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, options: list[str]
) -> None:
    state = directory / "folder" / "state"
    state.mkdir(parents=True)
    words = ["--state_dir", state, "--upload_regex", ".*", *options]
    if options == ["--once"]:
        (directory / "file").write_bytes(b"x")
        upload_once(directory, config_file, topic, *words[:-1])
        upload_once(directory, config_file, topic, *words[:-1])
    else:
        with uploading(directory, config_file, topic, *words) as upload:
            (directory / "file").write_bytes(b"x")
            wait_until(lambda: len(completed(state, topic)) == 1)
            shutil.rmtree(state / "LOGS", ignore_errors=True)
            wait_until(lambda: len(completed(state, topic)) == 1)
            upload.quit()
    assert files_on(kafka.bootstrap, topic).keys() == {b"file"}
    verify(directory, config_file, topic, "--state_dir", state, "--upload_regex", ".*")


def test_what_a_download_leaves_is_not_uploaded(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, make_topic: Callable[..., str]
) -> None:
    (directory / "file").write_bytes(b"x")
    upload_once(directory, config_file, topic)
    copy, other = directory.parent / "copy", make_topic()
    copy.mkdir()
    download_once(copy, config_file, topic)
    upload_once(copy, config_file, other, "--upload_regex", ".*")
    assert files_on(kafka.bootstrap, other).keys() == {b"file"}
