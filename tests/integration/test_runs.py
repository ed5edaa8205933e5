"""Sealed runs: no manifest before all of its files are on the topic, and the marker after it, despite kills."""

from __future__ import annotations

import hashlib
import json
import os
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import xxhash

import dfud
from dfud.broker.node import KafkaNode
from tests.helpers.downloading import contents, download_once, downloading
from tests.helpers.reader import Message, read_topic
from tests.helpers.receipts import receipts_on
from tests.helpers.uploading import upload_once, uploading, wait_until
from tests.helpers.verifying import verify

CHUNK = 4096
MARKED = ("--run_marker", "Done.txt", "--upload_existing", "--chunk_size", CHUNK)


class Sealed(NamedTuple):
    """A manifest as anyone reads it, and its offset in a topic of one partition."""

    offset: int
    fields: dict[str, Any]


def manifests(messages: list[Message]) -> dict[str, list[Sealed]]:
    """Return the manifests by the paths of their runs."""
    found: dict[str, list[Sealed]] = {}
    for message in messages:
        if "manifest" in message.headers:
            assert message.value is not None
            assert message.headers["manifest_part"] == b"1/1"
            fields = json.loads(message.value)
            assert message.key == os.fsencode(fields["run"])
            found.setdefault(fields["run"], []).append(Sealed(message.offset, fields))
    return found


def assert_ordered(messages: list[Message]) -> dict[str, list[Sealed]]:
    """Check that each manifest follows all chunks of its files, and precedes its marker; return the manifests."""
    offsets: dict[tuple[bytes, bytes], dict[bytes, int]] = {}  # of the first copy of each chunk of each version
    for message in messages:
        if "upload_id" in message.headers:
            chunks = offsets.setdefault((message.key, message.headers["upload_id"]), {})
            chunks.setdefault(message.headers["chunk"], message.offset)
    found = manifests(messages)
    for sealed in found.values():
        for offset, fields in sealed:
            for file in fields["files"]:
                chunks = offsets[os.fsencode(file["path"]), file["upload_id"].encode()]
                assert len(chunks) == max(1, -(-file["size"] // CHUNK)), file
                assert max(chunks.values()) < offset, file
        marker = sealed[0].fields["marker"]
        assert min(offsets[os.fsencode(marker["path"]), marker["upload_id"].encode()].values()) > sealed[0].offset
    return found


def write_run(folder: Path, files: int, numbers: random.Random) -> None:
    """Write a run with its marker."""
    for number in range(files):
        (folder / f"d{number % 3}").mkdir(parents=True, exist_ok=True)
        (folder / f"d{number % 3}" / f"f{number}").write_bytes(numbers.randbytes(numbers.choice((0, 10, 9_000))))
    (folder / "Done.txt").write_text("done")


def test_kills_change_nothing(
    directory: Path, config_file: Path, make_topic: Callable[..., str], kafka: KafkaNode
) -> None:
    topic, numbers = make_topic(partitions=1), random.Random(7)
    runs = [f"run{number}" for number in range(4)]
    for moment in ("is held back", "is sealed"):  # before the manifest; and after it, before or after the marker
        for name in runs[:2] if moment == "is held back" else runs[2:]:
            write_run(directory / name, 40, numbers)
        with uploading(directory, config_file, topic, *MARKED) as upload:
            upload.wait_for(moment)
            upload.kill()
    upload_once(directory, config_file, topic, *MARKED)
    found = assert_ordered(read_topic(kafka.bootstrap, topic))
    assert sorted(found) == runs
    for sealed in found.values():
        listed = {file["path"]: file for file in sealed[-1].fields["files"]}
        folder = directory / sealed[-1].fields["run"]
        expected = {path for path in folder.rglob("*") if path.is_file() and path.name != "Done.txt"}
        assert {directory / path for path in listed} == expected
        assert all(
            listed[str(path.relative_to(directory))]["xxh3_128"] == xxhash.xxh3_128_hexdigest(path.read_bytes())
            for path in expected
        )


def test_runs_are_received_whole_despite_kills(
    directory: Path, config_file: Path, make_topic: Callable[..., str], kafka: KafkaNode, tmp_path: Path
) -> None:
    topic, copy = make_topic(partitions=2), tmp_path / "copy"
    for number in range(4):
        write_run(directory / f"run{number}", 40, random.Random(number))
    upload_once(directory, config_file, topic, *MARKED)
    options = ("--runs", "--receipts", f"{topic}-receipts", "--receiver", "copy")
    with downloading(copy, config_file, topic, *options) as running:
        running.wait_for("is whole, and in its place: 41 files")
        running.kill()
    (directory / "more").write_text("which no manifest lists")
    upload_once(directory, config_file, topic, *MARKED)
    output = download_once(copy, config_file, topic, *options)
    assert "1 file that belongs to no run so far" in output
    assert {path.name for path in copy.iterdir()} == {"LOGS", "run0", "run1", "run2", "run3"}
    for folder in copy.glob("run*"):
        lines = (folder / "manifest-sha256.txt").read_text().splitlines()
        sums = {line[66:]: line[:64] for line in lines}
        payload = {str(path.relative_to(folder)) for path in (folder / "data").rglob("*") if path.is_file()}
        assert payload == set(sums)
        assert contents(folder / "data") == contents(directory / folder.name)
        assert all(sums[path] == hashlib.sha256((folder / path).read_bytes()).hexdigest() for path in payload)
    received = {path for _, path in receipts_on(kafka.bootstrap, f"{topic}-receipts")}
    assert received == set(contents(directory))
    output = download_once(copy, config_file, topic, status=2)
    assert "holds files of runs that are not whole; go on with --runs" in output


def test_a_run_is_sealed_while_it_is_watched(
    directory: Path, config_file: Path, make_topic: Callable[..., str], kafka: KafkaNode
) -> None:
    topic = make_topic(partitions=1)
    more = ("--run_metadata", "run.json", "--header", "proposal=17", "--upload_regex", ".*[.](tif|json)$")
    with uploading(directory, config_file, topic, *MARKED, *more) as upload:
        run = directory / "a" / "run7"
        run.mkdir(parents=True)
        (run / "run.json").write_text('{"sample": "A7"}')
        (run / "notes.txt").write_text("which is not uploaded")
        with (run / "1.tif").open("wb") as late:
            late.write(b"x" * 10_000)
            (run / "Done.txt").touch()
            upload.wait_for("its marker a/run7/Done.txt is held back")
            (run / "2.tif").write_bytes(b"y")
            upload.wait_for("run a/run7 is not sealed yet: .*a/run7/1.tif is not on the topic")
        upload.wait_for("run a/run7 is sealed: 3 files, 10.0 kB")
        wait_until(lambda: any(each.key.endswith(b"Done.txt") for each in read_topic(kafka.bootstrap, topic)))
        upload.quit()
    messages = read_topic(kafka.bootstrap, topic)
    ((_, fields),) = assert_ordered(messages)["a/run7"]
    assert fields["metadata"] == {"sample": "A7"}
    assert [file["path"][-5:] for file in fields["files"]] == ["1.tif", "2.tif", ".json"]
    assert all(message.headers["proposal"] == b"17" for message in messages)
    assert [file.headers for file in dfud.read_files(config_file, topic)] == 4 * [{"proposal": b"17"}]
    (run / "2.tif").unlink()  # which the topic has
    status, output = verify(directory, config_file, topic, "--run", "./a/run7/")
    assert status == 0
    assert (
        f"4 same, 0 differs, 0 missing, 0 incomplete; not in the directory: 1; manifest {fields['id']}" in output
    )


def test_what_is_not_whole_is_left(
    directory: Path, config_file: Path, topic: str, kafka: KafkaNode, tmp_path: Path
) -> None:
    run = directory / "run7"
    write_run(run, 3, random.Random(1))
    os.symlink(tmp_path / "elsewhere", run / "link")  # which leads nowhere, and is no file
    (run / "run.json").write_text("[]")
    output = upload_once(directory, config_file, topic, *MARKED, "--run_metadata", "run.json", status=1)
    assert (
        "run7/Done.txt is held back, as run run7 is not sealed (run7/run.json cannot be its metadata: it is not "
        in (output)
    )
    (run / "run.json").write_text("{}")
    output = upload_once(directory, config_file, topic, *MARKED, "--run_metadata", "run.json")
    assert "run run7 is sealed: 4 files" in output
