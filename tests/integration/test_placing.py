"""Which version of a file a download leaves in place, what makes room for it, and what is named as missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from dfud.broker.node import KafkaNode
from dfud.core.sent import Sent
from tests.helpers.downloading import (
    Record,
    contents,
    download_once,
    downloading,
    leftovers,
    native,
    openmsi,
    produce,
)
from tests.helpers.uploading import upload_once, wait_until

NOW = 1_700_000_000_123_456_789

OLD, NEW = b"old" * 1000, b"new!" * 900


def test_a_and_b_and_a_with_older_times_in_one_run_or_in_many(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    """As an upload sends a file that is replaced by an older one, changed, and put back."""
    one, many = tmp_path / "one", tmp_path / "many"
    for data, mtime_ns in ((OLD, NOW), (NEW, NOW - 10**18), (b"short", NOW + 5), (OLD, NOW)):
        produce(kafka.bootstrap, topic, native(b"f", data, mtime_ns))
        download_once(many, config_file, topic)
        assert contents(many) == {b"f": data}
        assert (many / "f").stat().st_mtime_ns == mtime_ns
    download_once(one, config_file, topic)
    download_once(one, config_file, topic, "--consumer_group_id", "create_new")  # all of it again
    assert contents(one) == {b"f": OLD}
    assert leftovers(one, topic) == leftovers(many, topic) == []
    sent = Sent.parse(os.getxattr(one / "f", "user.dfud.sent").decode())
    assert sent is not None
    assert (sent.partition, sent.offset) == (0, 3 + 4 + 1 + 3 - 1)


def in_partition(records: list[Record], number: int) -> list[Record]:
    return [record._replace(partition=number) for record in records]


def test_versions_in_two_partitions_as_when_partitions_were_added(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    """The old version is in one partition, the new one, with an older time, in another, read in any order."""
    orders = {b"0": (0, 1), b"1": (1, 0)}
    for folder, (first, _) in orders.items():
        records = native(folder + b"/f", b"never finished" * 500, NOW)[:2]
        records += native(folder + b"/f", OLD, NOW) + native(folder + b"/g", b"1", NOW)
        produce(kafka.bootstrap, topic, in_partition(records, first))
    for folder, (_, last) in orders.items():
        produce(kafka.bootstrap, topic, in_partition(native(folder + b"/f", NEW, 5), last))
        produce(kafka.bootstrap, topic, in_partition(native(folder + b"/g", b"2", 5), last))
    for threads in (1, 2, 2):  # twice into one directory: all of it again
        target = tmp_path / str(threads)
        download_once(target, config_file, topic, "--n_threads", threads, "--consumer_group_id", "create_new")
        assert contents(target) == {b"0/f": NEW, b"0/g": b"2", b"1/f": NEW, b"1/g": b"2"}
        assert leftovers(target, topic) == []


def test_versions_of_openmsistream_in_all_partitions(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    for data, mtime in ((OLD, 1.7e9), (NEW, 1.5e9), (OLD, 1.7e9)):
        produce(kafka.bootstrap, topic, openmsi(b"d/f", data, mtime, partitions=4))
    for threads in (1, 3):
        target = tmp_path / str(threads)
        download_once(target, config_file, topic, "--n_threads", threads)
        assert contents(target) == {b"d/f": OLD}
        assert leftovers(target, topic) == []


def test_a_kill_between_two_versions(tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    """What was read and not committed is read again, and the older version does not come back."""
    target = tmp_path / "target"
    with downloading(target, config_file, topic) as running:
        running.wait_for("downloading")
        produce(kafka.bootstrap, topic, native(b"f", OLD, NOW) + native(b"f", NEW, 5) + native(b"g", OLD, NOW)[:2])
        wait_until(lambda: contents(target) == {b"f": NEW})
        running.kill()
    produce(kafka.bootstrap, topic, native(b"g", OLD, NOW)[2:])
    download_once(target, config_file, topic)
    assert contents(target) == {b"f": NEW, b"g": OLD}
    assert leftovers(target, topic) == []


def test_a_file_that_becomes_a_folder_and_back(tmp_path: Path, config_file: Path, topic: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    source.mkdir()

    def send() -> None:
        upload_once(source, config_file, topic)
        assert download_once(target, config_file, topic)
        assert contents(target) == contents(source)

    (source / "x").write_bytes(b"a file")
    send()
    (source / "x").unlink()
    (source / "x" / "y").mkdir(parents=True)
    (source / "x" / "y" / "z").write_bytes(OLD * 10)
    send()
    (source / "x" / "y" / "z").unlink()
    (source / "x" / "y").rmdir()
    (source / "x").rmdir()
    (source / "x").write_bytes(b"another file")
    send()
    all_at_once = tmp_path / "all"
    download_once(all_at_once, config_file, topic)
    assert contents(all_at_once) == contents(source)


def test_what_a_download_did_not_make_is_moved_and_not_deleted(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    target = tmp_path / "target"
    (target / "folder" / "inner").mkdir(parents=True)
    (target / "folder" / "inner" / "mine").write_bytes(b"mine")
    (target / "file").write_bytes(b"mine, too")
    produce(kafka.bootstrap, topic, native(b"folder", OLD, NOW) + native(b"file/inner", NEW, NOW))
    text = download_once(target, config_file, topic)
    assert contents(target) == {b"folder": OLD, b"file/inner": NEW}
    kept = target / "LOGS" / f"download_from_{topic}" / "replaced"
    assert sorted(path.name.partition("-")[2] for path in kept.iterdir()) == ["file", "folder"]
    assert sorted(path.read_bytes() for path in kept.rglob("*") if path.is_file()) == [b"mine", b"mine, too"]
    for path in kept.iterdir():
        assert f"was moved into LOGS, to replaced/{path.name}" in text


def test_what_is_incomplete_is_named_with_its_place_on_the_topic(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    target = tmp_path / "target"
    produce(kafka.bootstrap, topic, native(b"overtaken", OLD, NOW)[:2] + native(b"overtaken", NEW, 5))
    produce(kafka.bootstrap, topic, native(b"f", OLD, NOW)[1:])
    text = download_once(target, config_file, topic, status=1)
    assert "f is incomplete: 2000 of 3000 bytes received; missing chunks: 1 (" in text
    assert "(received from partition 0, offsets 6 to 7)" in text
    assert "1 file is incomplete on the topic" in text
    assert "overtaken" not in text
    with downloading(target, config_file, topic) as running:
        running.wait_for("downloading")
        produce(kafka.bootstrap, topic, native(b"f", OLD, NOW)[:1])
        wait_until((target / "f").exists)
        running.quit()


def test_a_version_in_chunks_of_two_sizes(tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    """As after a restart of the upload with another --chunk_size, and after one of the download in between."""
    target = tmp_path / "target"
    produce(kafka.bootstrap, topic, native(b"f", OLD, NOW, 1024)[:2])
    download_once(target, config_file, topic, status=1)
    produce(kafka.bootstrap, topic, native(b"f", OLD, NOW, 512)[3:])
    download_once(target, config_file, topic)
    assert contents(target) == {b"f": OLD}
    assert leftovers(target, topic) == []


def test_paths_of_many_folders(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, make_topic: Callable[..., str]
) -> None:
    topic = make_topic(1)
    deep, deeper = b"d/" * 1100 + b"f", b"e/" * 5000 + b"f"
    records = [*native(deep, OLD, NOW), *native(deeper, b"x", NOW), *native(b"g", b"good", NOW)]
    produce(kafka.bootstrap, topic, records)
    target = tmp_path / "target"
    text = download_once(target, config_file, topic)
    assert "refused: its path cannot be used: it leads through more than 2,048 folders" in text
    assert (target / "g").read_bytes() == b"good"
    assert not (target / "e").exists()
    folder_fd = os.open(target, os.O_RDONLY)
    for name in deep.split(b"/")[:-1]:
        inner_fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY, dir_fd=folder_fd)
        os.close(folder_fd)
        folder_fd = inner_fd
    assert os.stat("f", dir_fd=folder_fd).st_size == len(OLD)
    os.close(folder_fd)
    os.system(f"rm -rf '{target}'")  # pytest's own removal recurses
