"""What is written, published, moved, linked and mounted in all the ways of instruments, with a real Kafka.

Each test is a case that lost, halved, repeated or hid something once.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.mounts import MountNamespace
from tests.helpers.stopping import stopped_process
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import (
    WAIT_S,
    Upload,
    assert_all_there,
    completed,
    files_on,
    upload_once,
    uploading,
    wait_until,
)
from tests.helpers.users import OtherUser, open_folder, other_user


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """An empty directory to watch."""
    path = tmp_path / "data"
    path.mkdir()
    return path


@pytest.fixture(scope="session")
def stranger() -> Iterator[OtherUser]:
    """Another user than the one who writes, who can run dfud."""
    try:
        with other_user() as user:
            yield user
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def shared(stranger: OtherUser, config_file: Path) -> Iterator[tuple[Path, Path]]:
    """A directory of ours with a LOGS of the stranger's, and a configuration file, both open to everyone."""
    with open_folder() as folder:
        directory, config = folder / "data", folder / "kafka.config"
        (directory / "LOGS").mkdir(parents=True)
        os.chown(directory / "LOGS", stranger.uid, stranger.uid)
        config.write_bytes(config_file.read_bytes())
        config.chmod(0o644)
        yield directory, config


# When a file is ready


def test_files_that_another_user_publishes_by_link_and_unlink(
    shared: tuple[Path, Path], stranger: OtherUser, kafka: KafkaNode, topic: str
) -> None:
    directory, config = shared
    with uploading(directory, config, topic, user=stranger) as upload:
        for number in range(60):
            staged = directory / ".staged"
            staged.write_bytes(b"x" * number)
            staged.chmod(0o644)
            os.link(staged, directory / f"linked{number}")
            staged.unlink()
        for number in range(20):
            unnamed = os.open(directory, os.O_TMPFILE | os.O_WRONLY, 0o644)
            os.write(unnamed, b"y" * number)
            source = f"/proc/self/fd/{unnamed}"
            os.link(source, directory / f"named{number}", src_dir_fd=unnamed, follow_symlinks=True)
            os.close(unnamed)
        wait_until(lambda: len(completed(directory, topic)) == 80)
        upload.quit()
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_writer_goes_on_after_its_file_was_moved_or_linked_in(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, tmp_path: Path
) -> None:
    with uploading(directory, config_file, topic) as upload:
        with (tmp_path / "m").open("wb", 0) as moved, (tmp_path / "l").open("wb", 0) as linked:
            moved.write(b"half ")
            linked.write(b"half ")
            (tmp_path / "m").rename(directory / "moved")
            os.link(tmp_path / "l", directory / "linked")
            (directory / "other").write_bytes(b"x")
            upload.wait_for("other: ")  # both are known by now
            assert [row["rel_filepath"] for row in completed(directory, topic)] in ([], ["other"])
            moved.write(b"rest")
            linked.write(b"rest")
        wait_until(lambda: len(completed(directory, topic)) == 3)
        upload.quit()
    files = assert_all_there(directory, kafka.bootstrap, topic)
    assert {path: len(versions) for path, versions in files.items()} == {b"moved": 1, b"linked": 1, b"other": 1}


def test_links_found_by_a_scan_to_files_that_are_still_written(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, tmp_path: Path
) -> None:
    with (tmp_path / "x").open("wb", 0) as written:
        written.write(b"half ")
        os.link(tmp_path / "x", directory / "hard")
        (directory / "soft").symlink_to(tmp_path / "x")
        (directory / "soft2").symlink_to(tmp_path / "x")
        (directory / "inner").symlink_to("hard")
        with uploading(directory, config_file, topic, "--upload_existing") as upload:
            written.write(b"rest")
            written.close()
            wait_until(lambda: len(completed(directory, topic)) == 2)
            text = upload.quit()
    assert len([line for line in text.splitlines() if "leads out of the directory" in line]) == 1, text
    files = files_on(kafka.bootstrap, topic)
    assert {path: [version.data for version in files[path].values()] for path in files} == {
        b"hard": [b"half rest"],
        b"inner": [b"half rest"],
    }


def test_links_that_lead_out_are_followed_on_request(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, tmp_path: Path
) -> None:
    (tmp_path / "x").write_bytes(b"outside")
    (directory / "soft").symlink_to(tmp_path / "x")
    upload_once(directory, config_file, topic, "--follow_links")
    assert_all_there(directory, kafka.bootstrap, topic)


def test_another_users_file_that_is_still_written_under_once(
    shared: tuple[Path, Path], stranger: OtherUser, kafka: KafkaNode, topic: str
) -> None:
    directory, config = shared
    (directory / "whole").write_bytes(b"whole")
    with (directory / "run.h5").open("wb") as file:
        script = f"import os, time\nwhile True:\n os.write({file.fileno()}, b'more ')\n time.sleep(0.2)"
        writer = subprocess.Popen([sys.executable, "-c", script], pass_fds=[file.fileno()])
    try:
        wait_until(lambda: (directory / "run.h5").stat().st_size)
        text = upload_once(directory, config, topic, status=1, user=stranger)
    finally:
        writer.kill()
        writer.wait()
    assert "run.h5 is still being written" in text
    assert files_on(kafka.bootstrap, topic).keys() == {b"whole"}
    upload_once(directory, config, topic, user=stranger)
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_file_that_is_open_at_the_end_is_named(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    with uploading(directory, config_file, topic) as upload:
        with (directory / "slow").open("wb", 0) as slow:
            slow.write(b"half ")
            (directory / "other").write_bytes(b"x")
            upload.wait_for("other: ")
            text = upload.quit(status=1)
            slow.write(b"rest")
    assert "slow is still being written" in text
    with uploading(directory, config_file, topic) as again:
        again.quit()
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_file_that_is_appended_to_and_closed_again_and_again(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    line = b"x" * 20_000
    with uploading(directory, config_file, topic) as upload:
        for _ in range(100):
            with (directory / "data").open("ab") as file:
                file.write(line)
            time.sleep(0.03)  # the pace of the writer
        upload.quit()
    versions = [*files_on(kafka.bootstrap, topic)[b"data"].values()]
    assert versions[-1].data == line * 100
    assert sum(len(version.data) for version in versions) <= 4 * len(line) * 100


def test_a_file_that_must_have_been_quiet(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    with uploading(directory, config_file, topic, "--watchdog_lag_time", 2) as upload:
        for _ in range(15):
            with (directory / "data").open("ab") as file:
                file.write(b"x")
            time.sleep(0.1)  # the pace of the writer
        wait_until(lambda: completed(directory, topic))
        (directory / "late").write_bytes(b"x")
        upload.quit()
    files = assert_all_there(directory, kafka.bootstrap, topic)
    assert len(files[b"data"]) == 1


# What DIR is


def test_file_systems_mounted_below_the_directory_while_it_is_watched(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, namespace: MountNamespace
) -> None:
    below, stick = directory / "below", directory / "sub" / "stick"
    below.mkdir()
    stick.mkdir(parents=True)
    with uploading(directory, config_file, topic, by=namespace.by) as upload:
        namespace.mount_tmpfs(below)
        namespace.path(below / "first").write_bytes(b"1")
        wait_until(lambda: len(completed(directory, topic)) == 1)
        namespace.path(below / "second").write_bytes(b"2")
        namespace.mount_tmpfs(stick)
        namespace.path(stick / "third").write_bytes(b"3")
        wait_until(lambda: len(completed(directory, topic)) == 3)
        namespace.unmount(stick)
        namespace.mount_tmpfs(stick)
        namespace.path(stick / "fourth").write_bytes(b"4")
        upload.quit()
    found = {
        path: [each.data for each in files.values()] for path, files in files_on(kafka.bootstrap, topic).items()
    }
    assert found == {
        b"below/first": [b"1"],
        b"below/second": [b"2"],
        b"sub/stick/third": [b"3"],
        b"sub/stick/fourth": [b"4"],
    }


def test_a_file_system_in_the_place_of_another_that_looks_the_same(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, namespace: MountNamespace
) -> None:
    """The kernel uses the numbers of mounts and devices again; the watcher sees both changes at once."""
    stick = directory / "stick"
    stick.mkdir()
    with uploading(directory, config_file, topic, by=namespace.by) as upload:
        namespace.mount_tmpfs(stick)
        namespace.path(stick / "first").write_bytes(b"1")
        wait_until(lambda: len(completed(directory, topic)) == 1)
        before = namespace.mounted_at(stick)
        with stopped_process(upload.wait_for_worker("watcher").pid):
            for _ in range(20):  # unless somebody else has got its numbers meanwhile
                namespace.unmount(stick)
                namespace.mount_tmpfs(stick)
                if namespace.mounted_at(stick) == before:
                    break
            namespace.path(stick / "second").write_bytes(b"2")
        wait_until(lambda: len(completed(directory, topic)) == 2)
        upload.quit()
    assert files_on(kafka.bootstrap, topic).keys() == {b"stick/first", b"stick/second"}


def test_another_folder_of_the_same_file_system_in_the_place_of_one(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, namespace: MountNamespace, tmp_path: Path
) -> None:
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
        (tmp_path / name / name).write_bytes(b"1")
    (directory / "bound").mkdir()
    with uploading(directory, config_file, topic, by=namespace.by) as upload:
        namespace.bind(tmp_path / "one", directory / "bound")
        wait_until(lambda: len(completed(directory, topic)) == 1)
        with stopped_process(upload.wait_for_worker("watcher").pid):
            namespace.unmount(directory / "bound")
            namespace.bind(tmp_path / "other", directory / "bound")
        wait_until(lambda: len(completed(directory, topic)) == 2)
        upload.quit()
    assert files_on(kafka.bootstrap, topic).keys() == {b"bound/one", b"bound/other"}


def test_a_folder_of_old_files_that_is_mounted_below(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, namespace: MountNamespace, tmp_path: Path
) -> None:
    """As a disk that is plugged in: its files are older than the run."""
    disk = tmp_path / "disk"
    (disk / "run").mkdir(parents=True)
    (disk / "run" / "old").write_bytes(b"old")
    os.utime(disk / "run" / "old", (1, 1))
    (directory / "disk").mkdir()
    with uploading(directory, config_file, topic, by=namespace.by) as upload:
        namespace.bind(disk, directory / "disk")
        wait_until(lambda: completed(directory, topic))
        upload.quit()
    assert files_on(kafka.bootstrap, topic).keys() == {b"disk/run/old"}


@pytest.mark.parametrize("is_polling", [False, True], ids=["events", "polling"])
def test_a_link_that_is_pointed_elsewhere_ends_the_run(
    directory: Path, config_file: Path, topic: str, tmp_path: Path, is_polling: bool
) -> None:
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "current").symlink_to(directory)
    options = ["--use_polling_observer"] if is_polling else []
    with uploading(tmp_path / "current", config_file, topic, *options) as upload:
        (tmp_path / "new").symlink_to("elsewhere")
        (tmp_path / "new").rename(tmp_path / "current")
        status, text = upload.end()
    assert status == 1
    assert f"{tmp_path / 'current'} has been removed, renamed, unmounted or replaced" in text
    assert not (tmp_path / "elsewhere" / "LOGS").exists()


# What is left, and said


def test_a_folder_that_may_not_be_read(
    shared: tuple[Path, Path], stranger: OtherUser, kafka: KafkaNode, topic: str
) -> None:
    directory, config = shared
    (directory / "closed" / "to others").mkdir(parents=True, mode=0o755)
    (directory / "closed").chmod(0o700)
    (directory / "open").write_bytes(b"x")
    text = upload_once(directory, config, topic, status=1, user=stranger)
    assert "cannot read folder closed: Permission denied" in text
    assert "all files detected are on the topic" not in text
    assert files_on(kafka.bootstrap, topic).keys() == {b"open"}
    (directory / "closed").chmod(0o755)
    upload_once(directory, config, topic, user=stranger)


def test_lost_and_found_at_the_top_of_a_mount_is_no_trouble(
    shared: tuple[Path, Path], stranger: OtherUser, topic: str, namespace: MountNamespace
) -> None:
    directory, config = shared
    namespace.mount_tmpfs(directory)
    for folder, mode in (("lost+found", 0o700), ("LOGS", 0o777)):
        namespace.run("mkdir", f"--mode={mode:o}", directory / folder)
    text = upload_once(directory, config, topic, user=stranger, by=namespace.by)
    assert "lost+found" not in text


def test_files_that_were_there_before_are_counted(directory: Path, config_file: Path, topic: str) -> None:
    for number in range(3):
        (directory / f"{number}").write_bytes(b"x")
    (directory / ".hidden").write_bytes(b"x")
    with uploading(directory, config_file, topic) as upload:
        upload.wait_for("3 files were there before and are not sent; --upload_existing sends them")
        upload.quit()
    (directory / "0").unlink()
    upload_once(directory, config_file, topic)
    with uploading(directory, config_file, topic) as upload:
        assert "before" not in upload.quit()


def test_a_pattern_with_a_slash_is_matched_with_the_path(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    for folder in ("scan1", "scan2", "other/scan1"):
        (directory / folder).mkdir(parents=True)
        (directory / folder / "a.dat").write_bytes(b"x")
    upload_once(directory, config_file, topic, "--upload_regex", r"^scan1/.*\.dat$")
    assert files_on(kafka.bootstrap, topic).keys() == {b"scan1/a.dat"}
    text = upload_once(directory, config_file, topic, "--upload_regex", "^scan1.*dat$")
    assert "--upload_regex ^scan1.*dat$ matches none of the 3 files" in text


def test_hidden_folders_are_left(directory: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    for folder in (".snapshots/1/scan", "scan/.~tmp~", "scan"):
        (directory / folder).mkdir(parents=True, exist_ok=True)
        (directory / folder / "a.dat").write_bytes(b"x")
    upload_once(directory, config_file, topic)
    with uploading(directory, config_file, topic) as upload:
        (directory / "scan" / ".~tmp~" / "b.dat").write_bytes(b"x")
        (directory / "scan" / ".~tmp~" / "b.dat").rename(directory / "scan" / "b.dat")
        upload.quit()
    assert files_on(kafka.bootstrap, topic).keys() == {b"scan/a.dat", b"scan/b.dat"}


# Between the end of one run and the start of the next


def write_until_ended(upload: Upload, directory: Path) -> int:
    """Write files until the process has ended; return their number."""
    number = 0
    while upload.process.poll() is None:
        (directory / f"late{number}").write_bytes(b"x")
        number += 1
        time.sleep(0.002)  # the pace of the writer
    return number


@pytest.mark.parametrize("how", ["quit", "SIGTERM"])
def test_what_is_closed_while_a_run_ends_is_sent_by_the_next(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, how: str
) -> None:
    with uploading(directory, config_file, topic) as upload:
        if how == "quit":
            upload.say("quit")
        else:
            upload.process.send_signal(signal.SIGTERM)
        written = write_until_ended(upload, directory)
        status, text = upload.end()
        assert status == 0, text
    assert written > 1
    with uploading(directory, config_file, topic) as upload:
        upload.quit()
    assert_all_there(directory, kafka.bootstrap, topic, once=False)


def test_files_that_came_between_two_runs_are_counted(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    with uploading(directory, config_file, topic) as upload:
        upload.quit()
    time.sleep(6)  # the time after an end within which files are still taken by the next run
    for number in range(4):
        (directory / f"{number}").write_bytes(b"x")
    with uploading(directory, config_file, topic) as upload:
        upload.wait_for("4 files were there before and are not sent")
        upload.quit()
    upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic)


def test_a_chain_of_runs_with_a_writer_that_goes_on(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    """As a service that is stopped and started again: what came while nothing ran is sent with the rest."""
    script = "\n".join(
        [
            "import itertools, pathlib, sys, time",
            "for number in itertools.count():",
            " (pathlib.Path(sys.argv[1]) / str(number)).write_bytes(b'x')",
            " time.sleep(0.05)",
        ]
    )
    writer = subprocess.Popen([sys.executable, "-c", script, directory])
    try:
        for _ in range(3):
            with uploading(directory, config_file, topic, "--upload_existing") as upload:
                upload.process.send_signal(signal.SIGTERM)
                assert upload.end()[0] == 0
    finally:
        writer.kill()
        writer.wait()
    upload_once(directory, config_file, topic)
    assert_all_there(directory, kafka.bootstrap, topic, once=False)


def test_a_path_that_is_longer_than_the_kernel_takes_at_once(
    directory: Path, config_file: Path, kafka: KafkaNode, topic: str, tmp_path: Path
) -> None:
    folder = os.open(directory, os.O_RDONLY)
    for _ in range(1200):
        os.mkdir("folder", dir_fd=folder)
        below = os.open("folder", os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    with open(os.open("file", os.O_WRONLY | os.O_CREAT, dir_fd=folder), "wb") as file:
        file.write(b"deep")
    os.close(folder)
    try:
        upload_once(directory, config_file, topic)
        assert files_on(kafka.bootstrap, topic).keys() == {b"folder/" * 1200 + b"file"}
        for command in ("verify", "download"):
            target = directory if command == "verify" else tmp_path / "copy"
            options = ["--once"] if command == "download" else []
            words = [sys.executable, "-m", "dfud", command, target, "--config", config_file, "--topic_name", topic]
            done = subprocess.run(
                [*words, *options], stdin=subprocess.DEVNULL, capture_output=True, timeout=WAIT_S, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
    finally:
        with contextlib.suppress(OSError):
            subprocess.run(["rm", "-rf", directory, tmp_path / "copy"], check=True)
