"""Interoperation with the real OpenMSIStream: it reads what we send, and we finish what it has left."""

from __future__ import annotations

import csv
import hashlib
import json
import os
import random
import re
import subprocess
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from dfud.core.chunk import Chunk
from dfud.core.openmsistream import decode
from dfud.core.text import counted
from tests.helpers.downloading import download_once
from tests.helpers.openmsistream_peer import CONFIG, InstallError, OpenMSIStream, install
from tests.helpers.reader import Message, read_topic
from tests.helpers.stopping import stopped_process
from tests.helpers.topics import create_topic
from tests.helpers.uploading import (
    WAIT_S,
    completed,
    in_progress,
    recorded_chunks,
    tree,
    upload_once,
    uploading,
    wait_until,
)

CHUNK = 16384
SIZES = (0, 1, 1000, CHUNK, CHUNK + 1, 200_000, 1 << 20, (1 << 20) + 1, 5_000_000)
NAMES = (
    "plain.bin",
    "it's.dat",
    'quo"te.tif',
    "semi;colon",
    "back\\slash",
    "tab\tname",
    "café ☃.txt",
    "a.b.c",
    "x_1_of_2",
)
FOLDERS = ("", "scans", "scans/day_1", "a b/c d/e", "über")


@pytest.fixture(scope="session")
def commands() -> Path:
    """The folder of OpenMSIStream's commands."""
    try:
        return install(100)
    except InstallError as error:
        pytest.skip(f"cannot install OpenMSIStream: {error}")


@pytest.fixture
def peer_config(tmp_path: Path, kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A configuration file for OpenMSIStream."""
    monkeypatch.setenv("DFUD_TEST_BOOTSTRAP", kafka.bootstrap)
    path = tmp_path / "peer.config"
    path.write_text(CONFIG)
    return path


@pytest.fixture
def peer(commands: Path, tmp_path: Path, peer_config: Path) -> OpenMSIStream:
    return OpenMSIStream(commands, peer_config, tmp_path)


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    path = tmp_path / "data"
    path.mkdir()
    return path


def write_tree(directory: Path, files: int, seed: int = 5, sizes: tuple[int, ...] = SIZES) -> None:
    """Write files of all sizes, names and folders."""
    numbers = random.Random(seed)
    for number in range(files):
        folder = directory / FOLDERS[number % len(FOLDERS)]
        folder.mkdir(parents=True, exist_ok=True)
        size = sizes[number % len(sizes)]
        (folder / f"{number} {NAMES[number % len(NAMES)]}").write_bytes(numbers.randbytes(size))


def chunks_on(kafka: KafkaNode, topic: str) -> dict[bytes, list[Chunk]]:
    """Return the chunks on a topic by path, by number; repeated ones, too."""
    chunks = defaultdict(list)
    for message in read_topic(kafka.bootstrap, topic):
        assert message.value is not None
        chunk = decode(message.value)
        chunks[chunk.path].append(chunk)
    return {path: sorted(found, key=lambda chunk: chunk.number) for path, found in chunks.items()}


def assert_rebuilt(chunks: dict[bytes, list[Chunk]], content: dict[bytes, bytes], once: bool = True) -> None:
    """Check that the chunks make up exactly these files."""
    assert chunks.keys() == content.keys()
    for path, found in chunks.items():
        by_number = {chunk.number: chunk for chunk in found}
        assert sorted(by_number) == list(range(1, found[0].n_chunks + 1)), path
        assert b"".join(by_number[number].data for number in sorted(by_number)) == content[path], path
        assert {chunk.digest for chunk in found} == {hashlib.sha512(content[path]).hexdigest()}, path
        assert not once or len(found) == len(by_number), path


def test_openmsistream_rebuilds_what_we_send(
    directory: Path, tmp_path: Path, peer: OpenMSIStream, topic: str
) -> None:
    write_tree(directory, 45)
    upload_once(directory, peer.config, topic, "--queue_max_size", 8, "--header", "sample=A7")
    expected = tree(directory)
    assert in_progress(directory, topic) == []
    assert len(completed(directory, topic)) == len(expected)
    rebuilt = tmp_path / "rebuilt"
    rebuilt.mkdir()
    peer.download_until(rebuilt, topic, lambda: tree(rebuilt) == expected)


def test_our_messages_equal_those_of_openmsistream(
    directory: Path, peer: OpenMSIStream, kafka: KafkaNode, make_topic: object
) -> None:
    assert callable(make_topic)
    ours, theirs = make_topic(), make_topic()
    write_tree(directory, 20, sizes=SIZES[1:-1])  # it sends nothing for an empty file
    upload_once(directory, peer.config, ours)

    def sent(topic: str) -> dict[bytes, Message]:
        return {message.key: message for message in read_topic(kafka.bootstrap, topic)}

    mine = sent(ours)
    peer.upload_until(directory, theirs, lambda: len(sent(theirs)) >= len(mine), "--chunk_size", CHUNK)
    others = sent(theirs)
    assert mine.keys() == others.keys()
    assert all(mine[key].value == others[key].value and not mine[key].headers for key in mine)
    assert_rebuilt(chunks_on(kafka, theirs), tree(directory), once=False)


def test_our_table_has_the_options_of_openmsistreams_upload(commands: Path) -> None:
    command = commands / "DataFileUploadDirectory"
    usage = subprocess.run([command, "-h"], stdout=subprocess.PIPE, text=True, timeout=WAIT_S, check=True).stdout
    theirs = set(re.findall(r"--\w+", usage.partition("positional arguments")[0]))
    document = (Path(__file__).resolve().parents[2] / "docs" / "openmsistream.md").read_text(encoding="utf-8")
    section = document.partition("## Options of an upload\n")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(--\w+)` \|", section, re.MULTILINE)) == theirs


@pytest.mark.parametrize("kind", ["heartbeat", "log"])
def test_openmsistream_reads_our_heartbeats_and_log_lines_as_its_own(
    directory: Path,
    tmp_path: Path,
    peer: OpenMSIStream,
    kafka: KafkaNode,
    make_topic: Callable[..., str],
    kind: str,
) -> None:
    topic, announced = make_topic(), make_topic(1)
    options = (f"--{kind}_topic_name", announced, f"--{kind}_interval_secs", 1, f"--{kind}_program_id")
    (directory / "file").write_bytes(bytes(2 * CHUNK))
    upload_once(directory, peer.config, topic, "--upload_existing", *options, "ours")

    def read() -> list[Message]:
        return read_topic(kafka.bootstrap, announced)

    other = tmp_path / "other"
    other.mkdir()
    (other / "file").write_bytes(b"other")
    peer.upload_until(other, topic, lambda: read()[-1].key.startswith(b"theirs"), *options, "theirs")
    texts = peer.read_texts(announced, len(read()))
    fields = {key: {name: type(value) for name, value in json.loads(text).items()} for key, text in texts}
    assert fields.keys() == {f"ours_{kind}", f"theirs_{kind}"}
    ours, theirs = fields[f"ours_{kind}"], fields[f"theirs_{kind}"]
    assert {name: ours.get(name) for name in theirs} == theirs
    assert ours.keys() - theirs.keys() == ({"dfud"} if kind == "heartbeat" else set())


def test_we_rebuild_what_openmsistream_sends(
    directory: Path, tmp_path: Path, peer: OpenMSIStream, kafka: KafkaNode, topic: str
) -> None:
    write_tree(directory, 60, sizes=SIZES[1:-1])  # it sends nothing for an empty file
    chunks = sum(-(-len(content) // CHUNK) for content in tree(directory).values())
    peer.upload_until(
        directory, topic, lambda: len(read_topic(kafka.bootstrap, topic)) >= chunks, "--chunk_size", CHUNK
    )
    download_once(tmp_path / "rebuilt", peer.config, topic)
    assert tree(tmp_path / "rebuilt") == tree(directory)


def peer_rows(directory: Path, pattern: str) -> list[dict[str, str]]:
    """Return the rows of OpenMSIStream's tables, as their text."""
    rows: list[dict[str, str]] = []
    for path in sorted((directory / "LOGS").glob(pattern)):
        try:
            with path.open(encoding="utf-8", newline="") as file:
                rows += csv.DictReader(file, delimiter=";")
        except FileNotFoundError:  # it is being replaced
            continue
    return rows


def test_what_openmsistream_has_left_is_finished(
    directory: Path, tmp_path: Path, peer: OpenMSIStream, kafka: KafkaNode, topic: str
) -> None:
    write_tree(directory, 40, sizes=(1, 1000, 200_000, 1 << 21))

    def finished_and_left() -> tuple[set[str], dict[str, int]]:
        rows = peer_rows(directory, f"uploaded_to_{topic}*.csv")
        finished = {path_in(row["rel_filepath"]) for row in rows}
        rows = peer_rows(directory, f"upload_to_{topic}_in_progress.csv")
        to_send = {path_in(row["rel_filepath"]): int(row["n_chunks_to_send"]) for row in rows}
        # It records a file as completed before it removes it from the other table.
        return finished, {name: count for name, count in to_send.items() if name not in finished}

    def is_half_done() -> bool:
        finished, left = finished_and_left()
        return (
            len(finished) >= 8 and max(left.values(), default=0) > 32
        )  # more chunks than it sends before it is killed

    peer.upload_until(directory, topic, is_half_done, "--chunk_size", CHUNK)
    finished, left = finished_and_left()
    tables = {path.name: path.read_bytes() for path in (directory / "LOGS").glob("*.csv")}
    assert finished
    assert left
    expected = tree(directory)
    before = {path: len(chunks) for path, chunks in chunks_on(kafka, topic).items()}

    output = upload_once(directory, peer.config, topic)
    assert f"{counted(len(finished), 'file')} completed, {len(left)} in progress, 0 changed" in output

    after = chunks_on(kafka, topic)
    assert_rebuilt(after, expected, once=False)
    for name in finished:
        path = os.fsencode(name)
        assert len(after[path]) == before[path], name
    for name, to_send in left.items():
        path = os.fsencode(name)
        assert len(after[path]) - before[path] == to_send, name
    assert in_progress(directory, topic) == []
    assert {os.fsencode(row["rel_filepath"]) for row in completed(directory, topic)} == expected.keys()
    for name, content in tables.items():
        assert (directory / "LOGS" / f"{name}.bak").read_bytes() == content

    rebuilt = tmp_path / "rebuilt"
    rebuilt.mkdir()
    peer.download_until(rebuilt, topic, lambda: tree(rebuilt) == expected)

    sent = sum(map(len, after.values()))
    upload_once(directory, peer.config, topic)
    assert sum(map(len, chunks_on(kafka, topic).values())) == sent


def path_in(text: str) -> str:
    """Return the path in a cell; these tests escape only tabs and backslashes."""
    return text[1:-1].replace("\\t", "\t").replace("\\\\", "\\")


def test_a_killed_upload_goes_on_with_the_missing_chunks(
    directory: Path, peer_config: Path, kafka: KafkaNode, topic: str
) -> None:
    n_chunks, options = 20_000, ("--n_threads", 1, "--chunk_size", 1024)
    (directory / "large.bin").write_bytes(random.Random(7).randbytes(n_chunks * 1024))
    usual = peer_config.read_text()
    slow = "[producer]\nbatch.num.messages = 1\nmax.in.flight.requests.per.connection = 1"  # seconds for the file
    peer_config.write_text(usual.replace("[producer]", slow))
    with uploading(directory, peer_config, topic, "--upload_existing", *options) as upload:
        wait_until(lambda: [row for row in in_progress(directory, topic) if row["n_chunks_delivered"] != "0"])
        upload.kill()
    recorded = recorded_chunks(directory, topic)[b"large.bin"]
    before = chunks_on(kafka, topic)[b"large.bin"]
    assert 0 < len(recorded) <= len(before) < n_chunks
    peer_config.write_text(usual)
    upload_once(directory, peer_config, topic, *options)
    after = chunks_on(kafka, topic)
    assert_rebuilt(after, tree(directory), once=False)
    assert len(after[b"large.bin"]) == len(before) + n_chunks - len(recorded)


def test_a_file_that_changes_while_it_is_sent_is_sent_again(
    directory: Path, peer_config: Path, kafka: KafkaNode, topic: str
) -> None:
    path = directory / "large.bin"
    path.write_bytes(bytes(60_000_000))
    with uploading(directory, peer_config, topic, "--upload_existing", "--n_threads", 1) as upload:
        wait_until(lambda: in_progress(directory, topic))
        with path.open("r+b") as file:
            file.write(b"changed")
        wait_until(lambda: len(completed(directory, topic)) >= 1)
        upload.quit()
    content = path.read_bytes()
    digest = hashlib.sha512(content).hexdigest()
    chunks = [chunk for chunk in chunks_on(kafka, topic)[b"large.bin"] if chunk.digest == digest]
    assert_rebuilt({b"large.bin": chunks}, {b"large.bin": content})
    [*_, row] = completed(directory, topic)
    assert int(row["mtime_ns"]) == path.stat().st_mtime_ns


def test_a_name_that_openmsistream_could_not_read_is_refused(
    directory: Path, peer_config: Path, kafka: KafkaNode, topic: str
) -> None:
    Path(os.fsdecode(os.path.join(os.fsencode(directory), b"\xff\xfe"))).write_bytes(b"not UTF-8")
    (directory / "good").write_bytes(b"good")
    output = upload_once(directory, peer_config, topic, status=1)
    assert r"\xff\xfe not delivered: its name is not UTF-8" in output
    assert_rebuilt(chunks_on(kafka, topic), {b"good": b"good"})
    assert [os.fsencode(row["rel_filepath"]) for row in in_progress(directory, topic)] == [b"\xff\xfe"]


def test_messages_that_were_not_delivered_are_sent_again(
    directory: Path, tmp_path: Path, peer_config: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hasty = "[producer]\nmessage.timeout.ms = 300\nenable.idempotence = false\nstatistics.interval.ms = 500"
    peer_config.write_text(peer_config.read_text().replace("[producer]", hasty))
    with KafkaNode(tmp_path / "kafka") as node:
        monkeypatch.setenv("DFUD_TEST_BOOTSTRAP", node.bootstrap)
        topic = create_topic(node.internal_bootstrap)
        status = directory / "LOGS" / f"upload_to_{topic}_status.json"
        with uploading(directory, peer_config, topic, "--n_threads", 1, "--metrics_port", 0) as upload:
            (directory / "first").write_bytes(b"so that there is a connection")
            wait_until(lambda: len(completed(directory, topic)) == 1)
            with stopped_process(node.pid):
                (directory / "large.bin").write_bytes(random.Random(7).randbytes(30_000_000))
                # What is in flight then may arrive all the same.
                wait_until(lambda: (json.loads(status.read_text())["kafka"] or {}).get("request_timeouts"))
            wait_until(lambda: len(completed(directory, topic)) == 2)
            upload.quit()
        chunks = chunks_on(node, topic)
    assert_rebuilt(chunks, tree(directory), once=False)
    assert len(chunks[b"large.bin"]) > chunks[b"large.bin"][0].n_chunks


@pytest.fixture(autouse=True)
def free_disk(directory: Path) -> Iterator[None]:
    """Leave no large files behind: pytest keeps the folders of its last runs."""
    yield
    for path in directory.glob("large.bin"):
        path.unlink()
