"""What one message, or any number of them, may cost."""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest
import xxhash

from dfud.core.assembly import Assembly
from dfud.downloading import doubts as doubts_module
from dfud.downloading import part_store, refusals
from dfud.downloading.part_files import PartFiles
from tests.helpers.downloading import Record, native
from tests.helpers.fetching import DATA, NOW, Bench, Taken, bench

__all__ = ["bench"]


def false_chunk(path: bytes, number: int) -> Record:
    """Return a chunk of DATA with other bytes, which claims nothing that is not true but these."""
    record = native(path, DATA, NOW)[number]
    value = b"x" * len(record.value or b"")
    changed = {"xxh3_64": xxhash.xxh3_64_hexdigest(value).encode()}
    return record._replace(value=value, headers=list({**dict(record.headers), **changed}.items()))


def test_a_false_chunk_of_a_file_in_place_copies_nothing(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    bench.take(*native(b"f", DATA, NOW))
    monkeypatch.setattr(PartFiles, "detach", None)
    for number in range(4):
        bench.take(false_chunk(b"f", number))
        assert bench.part().stat().st_blocks * 512 <= 4096 * (number + 1)
    assert bench.files() == {b"f": DATA}
    bench.take(*native(b"f", DATA, NOW))
    assert bench.files() == {b"f": DATA}
    assert bench.end() == bench.left() == []


def test_a_false_digest_before_the_true_one_does_not_keep_a_file_away(bench: Bench) -> None:
    records = native(b"f", DATA, NOW)
    bench.take(*records[:3], *native(b"f", DATA, NOW, xxh3_128=b"0" * 32)[3:])
    assert bench.files() == {}
    bench.take(records[3])
    assert bench.files() == {b"f": DATA}
    assert bench.left() == []


def test_false_last_chunks_do_not_have_a_file_read_again_and_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doubts_module, "_NO_RECHECK", 5_000)
    monkeypatch.setattr(doubts_module, "_RECHECKED_QUIET", 0)
    bench.assembler._placement.doubts._allowance = 5_000
    checked = []
    verify = Assembly.verify

    def counting(assembly: Assembly, read: object) -> bool:
        checked.append((assembly.size or 0) - assembly.hashed)
        return verify(assembly, read)  # type: ignore[arg-type]

    monkeypatch.setattr(Assembly, "verify", counting)
    false, true = false_chunk(b"f", 3), native(b"f", DATA, NOW)
    bench.take(*true[:3], false)
    for _ in range(40):
        bench.take(true[3]._replace(headers=[*true[3].headers[:-1], ("xxh3_128", b"0" * 32)]), false)
    assert sum(checked) < 5_000 + 8 * 80 * 500
    bench.take(*true)
    bench.save()
    bench.restart()
    assert bench.files() == {b"f": DATA}


def test_incomplete_files_without_end(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those that got nothing for longest are given up, and named; a file in progress is not among them."""
    monkeypatch.setattr(part_store, "MAX_INCOMPLETE", 300)
    good = native(b"good", DATA, NOW)
    bench.take(good[0])
    dropped = 0
    for number in range(900):
        dropped += bench.take(false_chunk(b"bad%d" % number, 1)).dropped
        if number % 90 == 0:
            bench.take(good[1 + number // 450])
            bench.save()
    assert len(bench.left(".part")) <= 301
    assert dropped >= 600
    assert bench.reported[0] == (
        "bad0 is incomplete: 1000 of 3500 bytes received; missing chunks: 1 3-4 "
        "(received from partition 0, offset 1); it is given up: more than 300 files are incomplete"
    )
    bench.take(*good[3:])
    assert bench.files() == {b"good": DATA}


def test_a_disk_full_of_incomplete_files(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part_store, "MAX_PARTS", 50)
    bench.take(*(false_chunk(b"bad%d" % number, 1) for number in range(200)))
    create, is_full = bench.folder.create, iter([True, False, False])

    def full(name: object) -> int:
        if next(is_full):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return create(name)  # type: ignore[arg-type]

    monkeypatch.setattr(bench.folder, "create", full)
    counts = bench.take(*native(b"good", DATA, NOW))
    assert (counts.files, counts.dropped) == (1, 100)
    assert bench.files() == {b"good": DATA}


def test_what_is_not_in_its_place_is_not_named_without_end(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(refusals, "_MAX_NAMED", 10)
    (bench.top / "link").symlink_to(tmp_path)
    bench.take(*(native(b"link/%d" % number, b"x", NOW)[0] for number in range(50)))
    assert len(bench.reported) == 11
    assert bench.reported[-1] == "further complete files that are not in their place are only counted"
    assert os.listdir(tmp_path) == ["target"]


def test_a_header_whose_name_is_no_text(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    def headers(taken: Taken) -> object:
        if taken.record.key == b"bad":
            raise SystemError("returned a result with an exception set")  # as confluent_kafka does
        return taken.record.headers

    monkeypatch.setattr(Taken, "headers", headers)
    counts = bench.take(*native(b"bad", b"x", NOW), *native(b"good", DATA, NOW))
    assert (counts.foreign, counts.files) == (1, 1)


@pytest.mark.parametrize("spelling", ["logs", "LOG\u017f", "LO\u00adGS"])
def test_logs_in_another_spelling(bench: Bench, spelling: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file system may take them for the same name; here a stub says that the folder is the same."""
    (bench.top / spelling).mkdir()
    logs, real = os.stat(bench.top / spelling), os.stat

    def stat(path: Any, **options: Any) -> os.stat_result:
        return logs if path == b"LOGS" else real(path, **options)

    monkeypatch.setattr(os, "stat", stat)
    path = os.fsencode(spelling)
    bench.take(*native(path + b"/evil", DATA, NOW), *native(path, b"evil", NOW))
    assert os.listdir(bench.top / spelling) == []
    assert [line.partition(":")[2] for line in bench.reported] == [" it lies in LOGS; kept in LOGS"] * 2
