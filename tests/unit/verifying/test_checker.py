"""The verdicts of one reader, on messages in every order and over a real directory."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dfud.core.version import FileVersion
from dfud.verifying import checker as checker_module
from dfud.verifying.checker import TopicChecker
from dfud.verifying.findings import Findings, path_hash
from tests.helpers.descriptors import count_descriptors
from tests.helpers.downloading import Record, native, openmsi

NOW = 1_700_000_000_123_456_789  # ns
DATA = os.urandom(4500)
OTHER = DATA[::-1]


class FakeMessage(NamedTuple):
    """A record with the methods of `confluent_kafka.Message`."""

    record: Record
    place: int = 0

    def offset(self) -> int:
        return self.place

    def partition(self) -> int:
        return self.record.partition

    def timestamp(self) -> tuple[int, int]:
        return 1, 1_000_000 + self.place

    def key(self) -> bytes | None:
        return self.record.key

    def value(self) -> bytes | None:
        return self.record.value

    def headers(self) -> Any:
        return self.record.headers


def messages(records: Iterable[Record]) -> list[FakeMessage]:
    return [FakeMessage(record, place) for place, record in enumerate(records)]


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory with one file, `folder/file`, that has `DATA`."""
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "file"
    path.write_bytes(DATA)
    os.utime(path, ns=(NOW, NOW))
    return tmp_path


LOCAL = FileVersion(b"folder/file", len(DATA), NOW)
FILE = native(b"folder/file", DATA, NOW)


def check(directory: Path, records: Iterable[Record], batch: int = 3) -> TopicChecker:
    checker = TopicChecker(str(directory))
    batches = messages(records)
    for at in range(0, len(batches), batch):
        checker.check(batches[at : at + batch])
    return checker


def findings_of(checker: TopicChecker) -> Findings:
    verdicts = checker.pop_verdicts()
    assert verdicts is not None
    return Findings.from_batches([verdicts.records], [verdicts.clashes])


def digest_of(records: list[Record]) -> bytes:
    return bytes.fromhex(dict(records[-1].headers)["xxh3_128"].decode())


@pytest.mark.parametrize("chunk_size", [1000, 4500, 1])
@pytest.mark.parametrize("step", [1, -1])
def test_a_file_that_is_the_same(directory: Path, chunk_size: int, step: int) -> None:
    records = native(b"folder/file", DATA, NOW, chunk_size)
    checker = check(directory, records[::step])
    assert checker.n_verdicts == 1
    assert checker.partials() == []
    assert (checker.messages, checker.bytes, checker.refused) == (len(records), len(DATA), 0)
    findings = findings_of(checker)
    assert findings.is_same(LOCAL)
    assert findings.has_complete(LOCAL, digest_of(records))
    assert checker.pop_verdicts() is None


@pytest.mark.parametrize("position", [0, 1500, 4499])
def test_a_file_that_differs_in_one_byte(directory: Path, position: int) -> None:
    changed = bytearray(DATA)
    changed[position] ^= 1
    records = native(b"folder/file", bytes(changed), NOW)
    findings = findings_of(check(directory, records))
    assert findings.is_differing(LOCAL)
    assert not findings.is_same(LOCAL)
    assert findings.has_complete(LOCAL, digest_of(records))


def test_bytes_that_do_not_have_their_digest(directory: Path) -> None:
    records = native(b"folder/file", DATA, NOW)
    digest = native(b"folder/file", OTHER, NOW)[-1].headers[-1]
    records[-1] = records[-1]._replace(headers=[*records[-1].headers[:-1], digest])
    findings = findings_of(check(directory, records))
    assert findings.is_differing(LOCAL)
    assert not findings.has_complete(LOCAL, digest_of(records))


def test_a_path_that_the_topic_has_in_another_size(directory: Path) -> None:
    findings = findings_of(check(directory, native(b"folder/file", DATA[:-1], NOW)))
    assert findings.has_other_size(b"folder/file")
    assert not findings.is_differing(LOCAL)


def test_a_file_that_is_not_in_the_directory(directory: Path) -> None:
    records = native(b"gone", DATA, NOW)
    findings = findings_of(check(directory, records))
    assert findings.has_complete(FileVersion(b"gone", len(DATA), NOW), digest_of(records))


def test_a_file_that_is_gone_and_arrives_out_of_order_is_hashed_in_more_passes(directory: Path) -> None:
    records = native(b"gone", DATA, NOW)
    disorder = [records[0], records[2], records[1], *records[3:]]
    checker = check(directory, disorder)
    assert checker.n_verdicts == 0
    needed: list[list[bytes]] = []
    while checker.needs_rehash and len(needed) < 5:
        needed.append([partial.path for partial in checker.partials()])
        checker.start_rehash()
        checker.rehash(messages(disorder))
    assert needed == [[b"gone"]] * 2
    assert findings_of(checker).has_complete(FileVersion(b"gone", len(DATA), NOW), digest_of(records))


@pytest.mark.parametrize("here", ["same", "differs", "gone"])
@pytest.mark.parametrize(
    "order",
    [
        pytest.param("A1 A2 B1 B2 B3 B4 B5", id="after a part"),
        pytest.param("A1 A2 A3 A4 A5 B1 B2 B3 B4 B5", id="after all"),
        pytest.param("A1 A2 A5 B1 B2 B3 B4 B5", id="after a part with the end"),
        pytest.param("A1 A2 B1 B3 B4 B5 B2", id="with a gap"),
        pytest.param("A1 A2 B1 B2 B1 B2 B3 B4 B5", id="with a restart"),
        pytest.param("A1 A2 A5 B1 B2 B3 B4 B5 B1", id="and once more"),
    ],
)
def test_a_file_that_was_rewritten_with_its_size_and_time(directory: Path, here: str, order: str) -> None:
    """Both contents have one upload id; what was sent last counts."""
    path = directory / "folder" / "file"
    if here == "gone":
        path.unlink()
    elif here == "differs":
        path.write_bytes(bytes(len(DATA)))
    contents = {"A": native(b"folder/file", OTHER, NOW), "B": native(b"folder/file", DATA, NOW)}
    records = [contents[word[0]][int(word[1]) - 1] for word in order.split()]
    checker = check(directory, records)
    passes = 0
    while checker.needs_rehash:
        checker.start_rehash()
        checker.rehash(messages(records))
        passes += 1
        assert passes <= 5
    findings = findings_of(checker)
    assert findings.has_complete(LOCAL, digest_of(contents["B"]))
    assert findings.is_same(LOCAL) == (here == "same")
    if here == "same":
        assert not findings.is_differing(LOCAL)
    assert [partial.spans for partial in checker.partials()] in ([], [((1, 1000),)])


def test_openmsistreams_size_is_compared_when_it_is_known(directory: Path) -> None:
    assert findings_of(check(directory, openmsi(b"folder/file", DATA, 1.5))).is_same(LOCAL)
    findings = findings_of(check(directory, openmsi(b"folder/file", DATA[:4000], 1.5)))
    assert findings.has_other_size(b"folder/file")
    assert not findings.is_same(LOCAL)
    assert not findings.is_differing(LOCAL)


def test_a_folder_that_is_replaced_is_noticed(directory: Path) -> None:
    checker = TopicChecker(str(directory))
    checker.check(messages(native(b"folder/other", DATA, NOW)))
    (directory / "folder").rename(directory / "moved")
    (directory / "folder").mkdir()
    checker.check(messages(native(b"folder/file", DATA, NOW)))
    assert not findings_of(checker).is_same(LOCAL)


@pytest.mark.parametrize(("order", "same"), [("AB", "B"), ("BA", "A"), ("ABA", "A"), ("BAB", "B")])
def test_of_several_versions_the_last_one_counts(directory: Path, order: str, same: str) -> None:
    """Both have the bytes of the local file; only A has its mtime, too."""
    versions = {"A": native(b"folder/file", DATA, NOW), "B": native(b"folder/file", DATA, NOW + 1)}
    checker = check(directory, [record for each in order for record in versions[each]])
    assert checker.partials() == []
    verdicts = checker.pop_verdicts()
    assert verdicts is not None
    asked = path_hash(b"folder/file")
    findings = Findings.from_batches([verdicts.records], [verdicts.clashes], {asked})
    assert findings.last[asked].identity == LOCAL._replace(mtime_ns=NOW + "AB".index(same)).identity()
    assert findings.has_complete(LOCAL, digest_of(versions["A"]))
    assert findings.has_complete(LOCAL._replace(mtime_ns=NOW + 1), digest_of(versions["B"]))


@pytest.mark.parametrize("last", [OTHER, DATA[:-1]], ids=["other bytes", "another size"])
def test_a_file_of_which_another_version_was_sent_last_is_outdated(directory: Path, last: bytes) -> None:
    records = native(b"folder/file", DATA, NOW) + native(b"folder/file", last, NOW - 1)
    findings = findings_of(check(directory, records))
    assert not findings.is_same(LOCAL)
    assert findings.is_outdated(LOCAL)


def test_what_was_sent_before_a_complete_version_is_dropped(directory: Path) -> None:
    one, other = native(b"folder/file", DATA, NOW), native(b"folder/file", OTHER, NOW + 1)
    before = count_descriptors()
    checker = check(directory, [*other[:4], *one, other[4]])
    (partial,) = checker.partials()
    assert partial.spans == ((4001, 4500),), "what came before does not count"
    assert count_descriptors() <= before + 3  # the directory, the folder and the file
    # Between partitions, it is not known what came before.
    other = [record._replace(partition=1) for record in other]
    assert check(directory, [*other[:4], *one, other[4]]).partials() == []


def test_versions_without_end_are_bounded(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker_module, "MAX_INCOMPLETE", 5)
    begun = [native(b"file%d" % number, DATA, NOW)[0] for number in range(20)]
    checker = check(directory, [FILE[0], *begun, *FILE[1:]])
    assert len(checker.partials()) == 5
    assert checker.dropped == 17, "the file was dropped, too, and begun again"
    assert check(directory, [*begun, *FILE]).n_verdicts == 1


def test_a_file_in_the_place_of_a_folder_and_the_reverse(directory: Path) -> None:
    clashes = {
        b"folder": native(b"folder", DATA, NOW),
        b"folder/file": native(b"folder/file/below/it", DATA, NOW),
        b"": native(b"folder/other", DATA, NOW) + native(b"none/other", DATA, NOW),
    }
    for path, records in clashes.items():
        for order in ([*records, *FILE], [*FILE, *records]):
            findings = findings_of(check(directory, order))
            assert list(findings.clashes) == ([path_hash(path)] if path else [])
            assert findings.is_same(LOCAL) == (not path or order[-1] is FILE[-1]), path
            assert findings.is_outdated(LOCAL)


def test_what_is_incomplete_is_reported_at_the_end(directory: Path) -> None:
    records = native(b"folder/file", DATA, NOW)
    checker = check(directory, records[:2] + records[3:])
    (partial,) = checker.partials()
    assert partial.spans == ((1, 2000), (3001, 4500))
    assert partial.is_here


def test_foreign_messages_are_ignored_and_bad_ones_counted(directory: Path) -> None:
    bad = native(b"folder/file", DATA, NOW, xxh3_64=b"0" * 16)
    checker = check(directory, [Record(b"key", b"value", []), Record(None, None, []), *bad])
    assert (checker.messages, checker.refused) == (2 + len(bad), len(bad))
    assert checker.pop_verdicts() is None
    checker.rehash(messages(bad))


def test_more_files_than_may_be_open(directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checker_module, "_MAX_OPEN_FILES", 3)
    names = [b"file%d" % number for number in range(10)]
    for name in names:
        path = directory / os.fsdecode(name)
        path.write_bytes(DATA)
        os.utime(path, ns=(NOW, NOW))
    before = count_descriptors()
    per_file = [native(name, DATA, NOW) for name in names]
    in_turn = [record for chunks in zip(*per_file) for record in chunks]
    checker = check(directory, in_turn[:-10], 1000)
    assert count_descriptors() <= before + 1 + 3  # the directory, and the files
    checker.check(messages(in_turn[-10:]))
    assert count_descriptors() == before + 1
    findings = findings_of(checker)
    assert all(findings.is_same(FileVersion(name, len(DATA), NOW)) for name in names)


def test_a_file_that_vanishes_gets_no_verdict(directory: Path) -> None:
    records = native(b"folder/file", DATA, NOW)
    checker = TopicChecker(str(directory))
    checker.check(messages(records[:1]))
    checker._close_file(next(iter(checker._open.values())))
    (directory / "folder" / "file").unlink()
    checker.check(messages(records[1:]))
    findings = findings_of(checker)
    assert not findings.is_same(LOCAL)
    assert not findings.is_differing(LOCAL)
    assert findings.has_complete(LOCAL, digest_of(records))


def test_a_link_counts_as_the_file_it_leads_to_unless_it_leaves(
    directory: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "file"
    outside.write_bytes(DATA)
    os.utime(outside, ns=(NOW, NOW))
    (directory / "link").symlink_to("folder/file")
    (directory / "folder" / "leaves").symlink_to(outside)
    records = native(b"link", DATA, NOW, 1000)
    local = FileVersion(b"link", len(DATA), NOW)
    assert findings_of(check(directory, records)).is_same(local)
    leaving = FileVersion(b"folder/leaves", len(DATA), NOW)
    findings = findings_of(check(directory, native(leaving.path, DATA, NOW, 1000)))
    assert not findings.is_same(leaving)
    assert findings.has_complete(leaving, digest_of(native(leaving.path, DATA, NOW, 1000)))
