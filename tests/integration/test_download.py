"""The download end to end, as a user runs it, with a real Kafka."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
import xxhash
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dfud.broker.node import KafkaNode
from tests.helpers.downloading import (
    Record,
    command,
    contents,
    download_once,
    downloading,
    leftovers,
    native,
    openmsi,
    produce,
)
from tests.helpers.uploading import WAIT_S, upload_once, wait_until

ODD_NAMES = [
    b"with space", b"quo'te\"s", b"semi;colon,comma", b"new\nline", b"\xff\xfe not utf-8", "näher ☃".encode(),
    b"-dash", b"100%", b"back\\slash", b"tab\t", b"a" * 255, b"trailing ", b"star*?[x]", b"logs", b"LOGS.txt",
]  # fmt: skip
NOW = 1_700_000_000_123_456_789


def files(directory: Path, sizes: dict[bytes, int]) -> None:
    """Create files of random bytes."""
    generator = random.Random(7)
    for name, size in sizes.items():
        path = os.path.join(os.fsencode(directory), name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(generator.randbytes(size))


def test_a_tree_of_odd_names_comes_back(tmp_path: Path, config_file: Path, topic: str) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    sizes = {b"sub/" + name: size for size, name in enumerate(ODD_NAMES)}
    sizes.update({name: 100_000 + size for size, name in enumerate(ODD_NAMES)})
    sizes.update(
        {b"deep/" * 20 + b"leaf": 5, b"empty": 0, b"LOGS2/x": 3, b"just": 16384, b"two": 32768, b"more": 32769}
    )
    files(source, sizes)
    os.utime(source / "empty", ns=(0, 1_234_567_890_123_456_789))
    upload_once(source, config_file, topic)
    text = download_once(target, config_file, topic)
    assert contents(target) == contents(source)
    for path in contents(source):
        name = os.fsdecode(path)
        assert (target / name).stat().st_mtime_ns == (source / name).stat().st_mtime_ns
    assert f"{len(sizes)} files completed" in text
    assert leftovers(target, topic) == []
    assert "0 messages read" in download_once(target, config_file, topic)


def test_several_directories_get_all_files_with_one_configuration(
    tmp_path: Path, config_file: Path, topic: str
) -> None:
    """Only a group of the command line is shared: what it has read does not arrive elsewhere."""
    source = tmp_path / "source"
    files(source, {b"one": 100_000, b"sub/two": 5})
    upload_once(source, config_file, topic)
    for name in ("first", "second", "third"):
        download_once(tmp_path / name, config_file, topic)
        assert contents(tmp_path / name) == contents(source)
        assert "0 messages read" in download_once(tmp_path / name, config_file, topic)


def test_it_runs_until_quit_and_answers_check(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    target = tmp_path / "target"
    with downloading(target, config_file, topic, "--update_seconds", "0.2") as running:
        running.wait_for(r"^\.$")
        produce(kafka.bootstrap, topic, native(b"one", b"1" * 5000, NOW) + native(b"two", b"2" * 5000, NOW)[:3])
        wait_until((target / "one").exists)
        running.say("check")
        running.wait_for("1 file completed")
        produce(kafka.bootstrap, topic, native(b"two", b"2" * 5000, NOW)[3:])
        wait_until((target / "two").exists)
        text = running.quit()
    assert "2 files completed" in text
    assert contents(target) == {b"one": b"1" * 5000, b"two": b"2" * 5000}


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_cleanly(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str, number: int
) -> None:
    target = tmp_path / "target"
    produce(kafka.bootstrap, topic, native(b"one", b"1" * 5000, NOW)[:3])
    with downloading(target, config_file, topic) as running:
        running.wait_for("3 messages read")
        running.process.send_signal(number)
        status, text = running.end()
    assert status == 1, text  # a file is incomplete
    assert "one is incomplete: 3000 of 5000 bytes received; missing chunks: 4-5" in text
    listing = (target / "LOGS" / f"download_from_{topic}_incomplete.csv").read_text()
    assert "one,5000,1700000000123456789,3000,4-5,," in listing
    produce(kafka.bootstrap, topic, native(b"one", b"1" * 5000, NOW)[3:])
    assert "2 messages read" in download_once(target, config_file, topic)
    assert contents(target) == {b"one": b"1" * 5000}
    assert leftovers(target, topic) == []


def test_repeated_kills_lose_nothing(tmp_path: Path, config_file: Path, make_topic: Callable[..., str]) -> None:
    source, target = tmp_path / "source", tmp_path / "target"
    topic = make_topic(3)
    files(
        source, {**{b"big%d" % i: 15_000_000 + i for i in range(3)}, **{b"s/%d" % i: 20_000 for i in range(600)}}
    )
    upload_once(source, config_file, topic)
    generator = random.Random(3)
    kills = 0
    for _ in range(6):
        with downloading(target, config_file, topic) as running:
            running.wait_for("downloading")
            time.sleep(generator.uniform(0.1, 2.5))  # any instant will do
            running.kill()
            kills += 1
    download_once(target, config_file, topic)
    assert kills == 6
    assert contents(target) == contents(source)
    assert leftovers(target, topic) == []


def test_a_restart_continues_from_the_committed_offsets(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    target = tmp_path / "target"
    data = os.urandom(300_000)
    records = native(b"big", data, NOW)
    produce(kafka.bootstrap, topic, records[:200])
    download_once(target, config_file, topic, status=1)
    assert len(leftovers(target, topic)) == 2
    produce(kafka.bootstrap, topic, records[200:])
    for threads in (3, 1):  # another fetcher reads the partitions of one that no longer exists
        text = download_once(target, config_file, topic, "--n_threads", threads)
    assert contents(target) == {b"big": data}
    assert leftovers(target, topic) == []
    assert "0 messages read" in text


def test_a_fetcher_that_is_killed_is_replaced(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    target = tmp_path / "target"
    data = os.urandom(50_000)
    records = native(b"big", data, NOW, partition=1)
    produce(kafka.bootstrap, topic, records[:25])
    with downloading(target, config_file, topic) as running:
        running.wait_for("25 messages read")
        running.wait_for_worker("fetcher-1").kill()
        running.wait_for("fetcher-1 was killed by SIGKILL: restarting all fetchers")
        produce(kafka.bootstrap, topic, records[25:])
        wait_until((target / "big").exists)
        running.quit()
    assert contents(target) == {b"big": data}


def test_a_second_instance_is_refused(tmp_path: Path, config_file: Path, topic: str) -> None:
    target = tmp_path / "target"
    with downloading(target, config_file, topic) as running:
        running.wait_for("downloading")
        assert "already downloading" in download_once(target, config_file, topic, status=75)
        running.quit()


def test_no_topic_is_created(tmp_path: Path, config_file: Path) -> None:
    for _ in range(2):
        text = download_once(tmp_path / "target", config_file, "no_such_topic", status=2)
        assert "cannot access topic no_such_topic at" in text
        assert "it does not exist" in text
        assert text.count("\n") == 1


# Odd orders, mixtures and versions


@pytest.mark.parametrize("seed", range(3))
def test_any_order_and_any_mixture(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str, seed: int
) -> None:
    generator = random.Random(seed)
    expected, records = {}, []
    for number in range(12):
        path, data = (
            b"d%d/f%d" % (number % 3, number),
            generator.randbytes(generator.choice([1, 999, 1000, 5500, 40_000])),
        )
        expected[path] = data
        made = (
            native(path, data, NOW + number, partition=number % 4)
            if number % 2
            else openmsi(path, data, 1.7e9, 1000, 4)
        )
        records += made + generator.sample(made, len(made) // 2)
    generator.shuffle(records)
    produce(kafka.bootstrap, topic, records)
    target = tmp_path / "target"
    download_once(target, config_file, topic, "--n_threads", 1 + seed)
    assert contents(target) == expected
    assert leftovers(target, topic) == []


def test_chunks_of_a_native_file_in_several_partitions(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    data = os.urandom(30_000)
    records = [record._replace(partition=number % 4) for number, record in enumerate(native(b"spread", data, NOW))]
    produce(kafka.bootstrap, topic, records)
    download_once(tmp_path / "target", config_file, topic, "--n_threads", 4)
    assert contents(tmp_path / "target") == {b"spread": data}
    assert leftovers(tmp_path / "target", topic) == []


def test_other_bytes_under_the_same_name_size_and_time(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    target = tmp_path / "target"
    for fill in (b"a", b"b"):
        produce(kafka.bootstrap, topic, native(b"f", fill * 9000, NOW) + native(b"g", fill * 10, NOW))
        download_once(target, config_file, topic)
        assert contents(target) == {b"f": fill * 9000, b"g": fill * 10}
    # A file that was damaged here is repaired when it is sent again.
    (target / "f").write_bytes(b"b" * 4000 + b"x" + b"b" * 4999)
    os.utime(target / "f", ns=(NOW, NOW))
    produce(kafka.bootstrap, topic, native(b"f", b"b" * 9000, NOW))
    download_once(target, config_file, topic)
    assert contents(target)[b"f"] == b"b" * 9000
    assert leftovers(target, topic) == []


def test_only_what_matches_is_downloaded(tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    produce(kafka.bootstrap, topic, native(b"a/x.dat", b"1", NOW) + native(b"b/x.dat", b"2", NOW))
    text = download_once(tmp_path / "target", config_file, topic, "--download_regex", "a/.*dat$")
    assert contents(tmp_path / "target") == {b"a/x.dat": b"1"}
    assert "1 chunk excluded by --download_regex" in text


def test_a_full_disk_is_waited_for(tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    """This mounts a small file system, as a limit on file sizes would not do."""
    target = tmp_path / "target"
    target.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", target], check=False).returncode:
        pytest.skip("cannot mount a small file system here")
    try:
        data = os.urandom(600_000)
        (target / "ballast").write_bytes(bytes(700_000))
        produce(kafka.bootstrap, topic, native(b"f", data, NOW))
        with downloading(target, config_file, topic) as running:
            running.wait_for(f"cannot write {target}: No space left on device; retrying")
            (target / "ballast").unlink()
            running.wait_for(f"writing {target} works again")
            wait_until((target / "f").exists)
            running.quit()
        assert contents(target) == {b"f": data}
    finally:
        subprocess.run(["umount", target], check=True)


# Malicious messages


def outside(tmp_path: Path) -> set[str]:
    return {os.path.join(folder, name) for folder, _, names in os.walk(tmp_path) for name in names}


def lies() -> list[Record]:
    """Return messages that contradict themselves, or whose path is not allowed."""
    data = b"0123456789" * 250
    bad_paths = [
        b"/tmp/dfud_evil", b"../evil", b"a/../../evil", b"a/./b", b"a//b", b"nul\0name", b"", b".", b"..", b"a/..",
        b"x" * 256, b"y/" * 33_000 + b"z", b"LOGS/evil", b"LOGS",
    ]  # fmt: skip
    made = [record for path in bad_paths for record in native(path, data, NOW)]
    made += native(b"lie1", data, NOW, chunk=b"1/1000000000000000")
    made += native(b"lie2", data, NOW, chunk=b"0/3") + native(b"lie3", data, NOW, chunk=b"9" * 5000 + b"/3")
    made += native(b"lie4", data, NOW, size=b"-1") + native(b"lie5", data, NOW, offset=b"7")
    made += native(b"lie6", data, NOW, xxh3_64=b"0" * 16) + native(b"lie7", data, NOW, upload_id=b"0" * 16)
    made += native(b"lie8", data, NOW, xxh3_128=b"0" * 32)
    # A consistent one: 10^15 chunks of a file of 10^18 bytes.
    size, n = 10**18, 10**15
    huge = {
        "upload_id": xxhash.xxh3_64_hexdigest(b"huge\0%d\0%d" % (size, NOW)).encode(), "chunk": b"1/%d" % n,
        "offset": b"0", "size": b"%d" % size, "mtime_ns": b"%d" % NOW,
        "xxh3_64": xxhash.xxh3_64_hexdigest(b"x" * 1000).encode(),
    }  # fmt: skip
    made.append(Record(b"huge", b"x" * 1000, list(huge.items())))
    made.append(
        Record(
            b"huge",
            b"x" * 1000,
            list({**huge, "chunk": b"%d/%d" % (n, n), "offset": b"%d" % (size - 1000)}.items()),
        )
    )
    made += [record._replace(value=None) for record in native(b"null", data, NOW)]
    made += [record._replace(headers=record.headers * 2) for record in native(b"twice", data, NOW)]
    made += openmsi(b"../evil2", data, 1.7e9) + openmsi(b"LOGS/evil3", data, 1e300)
    made += [
        Record(b"foreign", b"hello", []),
        Record(None, b"\x9a\x01", []),
        Record(None, None, []),
        Record(b"", b"", []),
    ]
    return made


def test_nothing_leaves_the_directory(tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str) -> None:
    target, elsewhere = tmp_path / "target", tmp_path / "elsewhere"
    target.mkdir()
    elsewhere.mkdir()
    (target / "link").symlink_to(elsewhere)
    (target / "linked_file").symlink_to(elsewhere / "victim")
    (elsewhere / "victim").write_bytes(b"untouched")
    before = outside(tmp_path)
    good = native(b"good", b"good" * 1000, NOW)
    planted = native(b"link/evil", b"x" * 3000, NOW) + native(b"link/one", b"x", NOW)
    planted += native(b"linked_file", b"ours", NOW)
    produce(kafka.bootstrap, topic, lies() + planted + good)
    text = download_once(target, config_file, topic, status=1)
    assert contents(target) == {b"good": b"good" * 1000, b"linked_file": b"ours"}
    fresh = {path for path in outside(tmp_path) - before if not path.startswith(str(target / "LOGS"))}
    assert fresh == {str(target / "good")}
    assert (elsewhere / "victim").read_bytes() == b"untouched"
    assert os.listdir(elsewhere) == ["victim"]
    assert not os.path.exists("/tmp/dfud_evil")
    assert "link/evil cannot be put in place" in text
    assert "4 messages without a chunk of a file skipped" in text
    used = sum(os.stat(path).st_blocks * 512 for path in outside(target / "LOGS"))
    assert used < 1_000_000
    # The user removes the obstacle, and the next run puts the files in place.
    (target / "link").unlink()
    text = download_once(target, config_file, topic, status=1)
    assert "lie8 is complete, but its digest does not match" in text
    assert contents(target)[b"link/evil"] == b"x" * 3000


PATHS = st.one_of(
    st.sampled_from([b"a", b"a/b", b"../x", b"/x", b"LOGS/x", b"a\0b", b"a/../../x"]), st.binary(max_size=12)
)
NUMBERS = st.one_of(st.integers(-2, 20), st.integers(0, 1 << 70), st.just(10**15))


@st.composite
def hostile(draw: st.DrawFn) -> Record:
    """A message with random or nearly correct parts."""
    value = draw(
        st.one_of(st.none(), st.binary(max_size=40), st.sampled_from([b"\x9a" * 9, b"\xdd\xff\xff\xff\xff"]))
    )
    if draw(st.booleans()):
        path, size, mtime = draw(PATHS), draw(NUMBERS), draw(NUMBERS)
        headers = {
            "upload_id": xxhash.xxh3_64_hexdigest(b"%s\0%d\0%d" % (path, size, mtime)).encode(),
            "chunk": b"%d/%d" % (draw(NUMBERS), draw(NUMBERS)),
            "offset": b"%d" % draw(NUMBERS),
            "size": b"%d" % size,
            "mtime_ns": b"%d" % mtime,
            "xxh3_64": xxhash.xxh3_64_hexdigest(value or b"").encode(),
            "xxh3_128": xxhash.xxh3_128_hexdigest(value or b"").encode(),
        }
        for name in draw(st.lists(st.sampled_from(sorted(headers)), max_size=1)):
            headers[name] = draw(st.binary(max_size=20))
        return Record(path, value, list(headers.items()), draw(st.integers(0, 3)))
    names = st.sampled_from(["upload_id", "chunk", "offset", "size", "mtime_ns", "xxh3_64", "x"])
    headers_list = draw(st.lists(st.tuples(names, st.binary(max_size=10)), max_size=8))
    return Record(draw(st.one_of(st.none(), PATHS)), value, headers_list, draw(st.integers(0, 3)))


def test_some_thousands_of_hostile_messages(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    records: list[Record] = []

    @settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(more=st.lists(hostile(), min_size=20, max_size=80))
    def gather(more: list[Record]) -> None:
        records.extend(more)

    gather()
    target = tmp_path / "target"
    before = outside(tmp_path)
    good = native(b"good", b"good" * 1000, NOW)
    produce(kafka.bootstrap, topic, [*records, *good])
    assert len(records) >= 2000
    running = subprocess.Popen(
        command(target, config_file, topic, "--once"), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    )
    text, _ = running.communicate(timeout=WAIT_S)
    assert running.returncode in (0, 1), text
    assert "Traceback" not in text
    assert "internal error" not in text
    assert "restarting all fetchers" not in text
    assert contents(target)[b"good"] == b"good" * 1000
    fresh = outside(tmp_path) - before
    assert all(path.startswith(f"{target}/") for path in fresh)


def test_memory_stays_bounded_during_a_large_file(
    tmp_path: Path, config_file: Path, kafka: KafkaNode, topic: str
) -> None:
    target = tmp_path / "target"
    data = os.urandom(1 << 20) * 100
    produce(kafka.bootstrap, topic, native(b"big", data, NOW, 65536))
    with downloading(target, config_file, topic, "--n_threads", 1) as running:
        most = 0

        def is_there() -> bool:
            nonlocal most
            for worker in running.workers().values():
                try:
                    most = max(most, worker.memory_full_info().uss)
                except psutil.Error:
                    continue
            return (target / "big").exists()

        wait_until(is_there)
        running.quit()
    assert (target / "big").read_bytes() == data
    assert most < 150_000_000
