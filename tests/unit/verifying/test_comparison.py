"""Local files and rows of the tables, compared with what the readers reported."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import pytest
import xxhash

from dfud.core.chunk import SHA512, XXH3_128
from dfud.core.place import pack
from dfud.core.sent import Sent
from dfud.core.version import FileVersion
from dfud.errors import DfudError, UsageError
from dfud.messages import (
    BrokerOutage,
    Gap,
    Notice,
    PartialVersion,
    ReaderDone,
    ReadFailed,
    TopicReplaced,
    VersionVerdicts,
)
from dfud.verifying.collector import Collector, TopicContent
from dfud.verifying.comparison import compare_file, compare_tables
from dfud.verifying.findings import ABSENT, CORRUPT, DIFFERS, SAME, pack_record
from dfud.verifying.report import FileStatus, FileVerdict
from tests.helpers.folders import folder_of

NOW = 1_700_000_000_123_456_789  # ns
DATA = b"0123456789" * 100
DIGEST = xxhash.xxh3_128_hexdigest(DATA)
LOCAL = FileVersion(b"file", len(DATA), NOW)
PLACE = pack(Sent("", 0, 10, 1000))
BETWEEN = pack(Sent("", 0, 11, 1000))
LATER = pack(Sent("", 0, 12, 1000))
GAP = Gap("", 0, 5, 7, "damaged", "bad CRC")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with one file."""
    path = tmp_path / "file"
    path.write_bytes(DATA)
    os.utime(path, ns=(NOW, NOW))
    return tmp_path


def partial(*spans: tuple[int, int], **changed: object) -> PartialVersion:
    """Return what one reader has found of the file."""
    fields = {
        "path": b"file", "size": len(DATA), "mtime_ns": NOW, "chunk_size": 100, "algorithm": XXH3_128,
        "digest": DIGEST, "is_bad": False, "is_here": True, "sent": PLACE,
    }  # fmt: skip
    return PartialVersion(spans=spans, **{**fields, **changed})  # type: ignore[arg-type]


def collect(directory: Path, *messages: object) -> TopicContent:
    collector = Collector()
    for message in messages:
        collector.handle(message)  # type: ignore[arg-type]
    return collector.finish(str(directory))


def verdicts(state: bytes, local: FileVersion | None = LOCAL) -> VersionVerdicts:
    return VersionVerdicts(pack_record(LOCAL, PLACE, XXH3_128, DIGEST, local, state), b"")


OTHER_BYTES = "the topic has other bytes of this size"
OTHER_VERSION = "the topic has only another version of it"


@pytest.mark.parametrize(
    ("message", "verdict"),
    [
        pytest.param(verdicts(SAME), FileVerdict(LOCAL, FileStatus.SAME), id="same"),
        pytest.param(verdicts(DIFFERS), FileVerdict(LOCAL, FileStatus.DIFFERS, "", OTHER_BYTES), id="differs"),
        pytest.param(verdicts(CORRUPT), FileVerdict(LOCAL, FileStatus.DIFFERS, "", OTHER_BYTES), id="corrupt"),
        pytest.param(ReaderDone(0, 0, 0), FileVerdict(LOCAL, FileStatus.MISSING), id="missing"),
        pytest.param(
            VersionVerdicts(pack_record(LOCAL._replace(size=5), PLACE, XXH3_128, DIGEST, None, ABSENT), b""),
            FileVerdict(LOCAL, FileStatus.DIFFERS, "", OTHER_VERSION),
            id="another size",
        ),
        pytest.param(
            partial((1, 200), (401, 1000)), FileVerdict(LOCAL, FileStatus.INCOMPLETE, "3-4"), id="incomplete"
        ),
        pytest.param(
            partial((1, 200), chunk_size=0), FileVerdict(LOCAL, FileStatus.INCOMPLETE), id="chunk size unknown"
        ),
        pytest.param(
            partial((1, 200), is_bad=True),
            FileVerdict(LOCAL, FileStatus.DIFFERS, "", OTHER_BYTES),
            id="incomplete and different",
        ),
        pytest.param(
            partial((1, 200), is_here=False),
            FileVerdict(LOCAL, FileStatus.DIFFERS, "", OTHER_VERSION),
            id="another version, incomplete",
        ),
    ],
)
def test_a_local_file(directory: Path, message: object, verdict: FileVerdict) -> None:
    assert compare_file(LOCAL, collect(directory, message)) == verdict


def test_chunks_that_several_readers_found_make_a_version(directory: Path) -> None:
    content = collect(directory, partial((1, 500), digest=""), partial((501, 1000), chunk_size=0))
    assert content.partials == {}
    assert content.findings.is_same(LOCAL)
    assert content.findings.has_complete(LOCAL, bytes.fromhex(DIGEST))


@pytest.mark.parametrize("changed", [{"is_bad": True}, {"digest": "0" * 32}])
def test_merged_chunks_that_differ(directory: Path, changed: dict[str, object]) -> None:
    content = collect(directory, partial((1, 500), **changed), partial((501, 1000), digest=""))
    assert content.findings.is_differing(LOCAL)
    assert not content.findings.is_same(LOCAL)


@pytest.mark.parametrize("step", [1, -1])
def test_what_one_reader_knows_completes_what_another_knows(directory: Path, step: int) -> None:
    """Of OpenMSIStream's messages, only the last one states the size."""
    sha512 = hashlib.sha512(DATA).hexdigest()
    reports = [
        partial((1, 100), algorithm=SHA512, digest=sha512, size=None),
        partial((901, 1000), algorithm=SHA512, digest=sha512, chunk_size=0, is_here=False),
    ]
    content = collect(directory, *reports[::step])
    assert compare_file(LOCAL, content) == FileVerdict(LOCAL, FileStatus.INCOMPLETE, "2-9")


def test_merged_chunks_of_a_file_that_has_another_size_now(directory: Path) -> None:
    (directory / "file").write_bytes(DATA + b"more")
    content = collect(directory, partial((1, 500)), partial((501, 1000)))
    longer = LOCAL._replace(size=len(DATA) + 4, mtime_ns=(directory / "file").stat().st_mtime_ns)
    assert not content.findings.is_differing(longer)
    assert content.findings.has_complete(LOCAL, bytes.fromhex(DIGEST))


def test_merged_chunks_of_a_file_that_vanished(directory: Path) -> None:
    (directory / "file").unlink()
    content = collect(directory, partial((1, 500)), partial((501, 1000)))
    assert not content.findings.is_same(LOCAL)
    assert content.findings.has_complete(LOCAL, bytes.fromhex(DIGEST))


def test_totals_and_the_state_of_the_broker(directory: Path, capsys: pytest.CaptureFixture[str]) -> None:
    content = collect(
        directory, ReaderDone(1, 10, 0), BrokerOutage("1/1 brokers are down"), BrokerOutage(""),
        Notice(30, "a notice"), ReaderDone(2, 20, 3, 4), GAP, TopicReplaced("id"),
    )  # fmt: skip
    assert content.totals == ReaderDone(3, 30, 3, 4)
    assert (content.gaps, content.is_replaced) == ([GAP], True)
    assert capsys.readouterr().err.splitlines() == [
        "broker unreachable (1/1 brokers are down): retrying",
        "broker reachable again: verification resumed",
        "a notice",
    ]


HEADER = "rel_filepath,size,mtime_ns,n_chunks,chunk_size,xxh3_128,started,completed\r\n"


NOT_THE_SAME = "is recorded as uploaded, but its bytes are not those on the topic"
NOT_THERE = "is recorded as uploaded, but this version is missing on the topic"
OTHER_CONTENT = "is recorded as uploaded, but the topic has other bytes of this version"


def row(path: str = "file", digest: str = DIGEST) -> str:
    time = "2026-01-01T00:00:00+00:00"
    return f"{path},{len(DATA)},{NOW},10,100,{digest},{time},{time}\r\n"


@pytest.mark.parametrize(
    ("text", "state", "fault"),
    [
        pytest.param(row(), SAME, "", id="there"),
        pytest.param(row(), DIFFERS, NOT_THE_SAME, id="differs"),
        pytest.param(row("gone"), SAME, NOT_THERE, id="not there"),
        pytest.param("file,half\r\n", SAME, "row 2 of {} cannot be read: ", id="cut off"),
    ],
)
def test_a_row(directory: Path, tmp_path: Path, text: str, state: bytes, fault: str) -> None:
    table = tmp_path / "table.csv"
    table.write_text(HEADER + text)
    content = collect(directory, verdicts(state))
    (verdict,) = compare_tables(folder_of(table), [str(table)], str(directory), content)
    assert verdict.fault.startswith(fault.format(table))
    assert bool(verdict.fault) is bool(fault)


def test_a_row_of_a_file_that_was_removed_is_compared_by_its_digest(directory: Path, tmp_path: Path) -> None:
    (directory / "file").unlink()
    table = tmp_path / "table.csv"
    table.write_text(HEADER + row() + row(digest="1" * 32))
    content = collect(directory, verdicts(SAME))
    faults = [verdict.fault for verdict in compare_tables(folder_of(table), [str(table)], str(directory), content)]
    assert faults == ["", OTHER_CONTENT]


def test_a_row_of_a_file_that_changed_is_compared_by_its_digest(directory: Path, tmp_path: Path) -> None:
    os.utime(directory / "file", ns=(NOW, NOW + 1))
    table = tmp_path / "table.csv"
    table.write_text(HEADER + row())
    content = collect(directory, verdicts(DIFFERS))
    (verdict,) = compare_tables(folder_of(table), [str(table)], str(directory), content)
    assert verdict.fault == ""


def test_a_row_of_a_link_is_compared_with_what_it_leads_to(directory: Path, tmp_path: Path) -> None:
    (directory / "file").rename(directory / "target")
    (directory / "file").symlink_to("target")
    table = tmp_path / "table.csv"
    table.write_text(HEADER + row())
    content = collect(directory, verdicts(DIFFERS))
    (verdict,) = compare_tables(folder_of(table), [str(table)], str(directory), content)
    assert verdict.fault == NOT_THE_SAME


def test_what_several_readers_found_of_a_link_is_compared_with_what_it_leads_to(directory: Path) -> None:
    (directory / "file").rename(directory / "target")
    (directory / "file").symlink_to("target")
    content = collect(directory, partial((1, 500)), partial((501, 1000)))
    assert content.findings.is_same(LOCAL)


def test_a_row_of_which_the_topic_has_only_a_part(directory: Path, tmp_path: Path) -> None:
    table = tmp_path / "table.csv"
    table.write_text(HEADER + row())
    for is_here in (True, False):
        if not is_here:
            (directory / "file").unlink()
        content = collect(directory, partial((301, 1000), is_here=is_here))
        (verdict,) = compare_tables(folder_of(table), [str(table)], str(directory), content)
        assert verdict.fault == "is recorded as uploaded, but chunks 1-3 are missing on the topic"


@pytest.mark.parametrize(
    ("sent", "is_incomplete"),
    [pytest.param(PLACE, False, id="superseded"), pytest.param(LATER, True, id="sent later")],
)
def test_a_part_of_a_version(directory: Path, sent: bytes, is_incomplete: bool) -> None:
    other = partial((1, 200), mtime_ns=5, sent=sent)
    complete = VersionVerdicts(pack_record(LOCAL, BETWEEN, XXH3_128, DIGEST, LOCAL, SAME), b"")
    content = collect(directory, complete, other, partial((1, 200), sent=LATER))
    assert list(content.partials.values()) == ([[other]] if is_incomplete else []), "the last one is a copy"
    assert compare_file(LOCAL, content).status is FileStatus.SAME


def test_a_reader_that_cannot_read_ends_the_verification(directory: Path) -> None:
    with pytest.raises(UsageError, match="no right"):
        collect(directory, ReadFailed("no right", True))
    with pytest.raises(DfudError, match="damaged") as caught:
        collect(directory, ReadFailed("damaged", False))
    assert caught.value.exit_status == 1


def test_a_path_that_no_download_accepts(directory: Path) -> None:
    local = LOCAL._replace(path=b"x/" * 40_000 + b"x")
    verdict = compare_file(local, collect(directory))
    assert (verdict.status, verdict.reason) == (
        FileStatus.MISSING, "a download refuses its path: it is longer than 65535 bytes",
    )  # fmt: skip
