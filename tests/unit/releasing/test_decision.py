"""Whether a file may go: never unless every receiver that must have it has said so of its very bytes, and last."""

from __future__ import annotations

from typing import NamedTuple

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dfud.core.receipt import Receipt, ReceiptKey
from dfud.core.version import FileVersion
from dfud.errors import UsageError
from dfud.files.scan import ScannedFile
from dfud.receipts.required import Required
from dfud.releasing.candidates import Candidate, Candidates
from dfud.releasing.decision import Evidence, evidence_of, is_settled
from dfud.releasing.holders import Holders
from dfud.releasing.recorded_rows import RecordedUpload
from tests.helpers.releasing import FakeMessage

TIME = "2026-03-01T11:00:00.123456+00:00"
S = 1_000_000_000
PATHS, SIZES, MTIMES = (b"a", b"b/\xff"), (0, 5), (7, -7)
DIGESTS = (b"\x11" * 16, b"\x22" * 16)
RECEIVERS = ("archive", "analysis", "stranger")
IDS = ("", "now", "before")


class Sent(NamedTuple):
    """A message with a receipt, or with what takes one back."""

    receiver: str
    path: bytes
    size: int
    mtime_ns: int
    digest: bytes
    topic: str
    topic_id: str
    is_taken_back: bool
    partition: int

    def message(self, time_ms: int) -> FakeMessage:
        key = ReceiptKey(self.topic, self.receiver, self.path).encode()
        receipt = Receipt(
            self.topic, self.topic_id, self.receiver, self.path, self.size, self.mtime_ns, self.digest.hex(), TIME
        )
        return FakeMessage(key, None if self.is_taken_back else receipt.encode(), self.partition, time_ms)


sent = st.builds(
    Sent,
    *map(st.sampled_from, (RECEIVERS, PATHS, SIZES, MTIMES, DIGESTS, ("T", "T2"), IDS)),
    st.booleans(),
    st.integers(0, 1),
)
required = st.sampled_from(
    [Required(frozenset(RECEIVERS[:1])), Required(frozenset(RECEIVERS[:2])), Required(number=2)]
)


def candidates_of(*files: tuple[bytes, int, int, bytes]) -> Candidates:
    candidates = Candidates()
    for path, size, mtime_ns, digest in files:
        file = ScannedFile(FileVersion(path, size, mtime_ns), 1, 2, 3)
        candidates.add(Candidate(file, digest, Evidence.ROW))
    candidates.build_index()
    return candidates


@given(st.lists(sent, max_size=12), required)
def test_the_last_receipt_of_each_receiver_counts_and_no_other(messages: list[Sent], required: Required) -> None:
    holders = Holders(candidates_of(*((path, 5, 7, DIGESTS[0]) for path in PATHS)), required, "T", "now")
    holders.add(each.message(at) for at, each in enumerate(messages))
    for number, path in enumerate(PATHS):
        has = set()
        for receiver in RECEIVERS:
            about = [each for each in messages if (each.topic, each.receiver, each.path) == ("T", receiver, path)]
            if about and not about[-1].is_taken_back:
                last = about[-1]
                is_of_bytes = (last.size, last.mtime_ns, last.digest) == (5, 7, DIGESTS[0])
                if is_of_bytes and last.topic_id in ("", "now"):
                    has.add(receiver)
        believed = has if required.number else has & required.names
        assert set(holders.of(number)) == believed
        assert holders.has_all(number) == (len(has) >= 2 if required.number else required.names <= has)
    assert holders.n_damaged == 0


@given(st.binary(max_size=40), st.none() | st.binary(max_size=40))
def test_whatever_else_is_on_the_topic_proves_nothing(key: bytes, value: bytes | None) -> None:
    holders = Holders(candidates_of((b"a", 5, 7, DIGESTS[0])), Required(number=1), "T", "")
    holders.add([FakeMessage(key, value), FakeMessage(None, value)])
    assert not holders.has_all(0)


def test_what_came_before_messages_that_cannot_be_read_proves_nothing() -> None:
    holders = Holders(candidates_of((b"a", 5, 7, DIGESTS[0])), Required(number=1), "T", "")
    message = Sent("archive", b"a", 5, 7, DIGESTS[0], "T", "", False, 1).message(0)
    holders.add([message])
    holders.forget(0)
    assert holders.has_all(0)
    holders.forget(1)
    assert not holders.has_all(0)
    holders.add([message])
    assert holders.has_all(0)


def test_receivers_that_somebody_makes_up_do_not_fill_the_memory() -> None:
    holders = Holders(candidates_of((b"a", 5, 7, DIGESTS[0])), Required(number=2), "T", "")
    with pytest.raises(UsageError, match="name those that you believe"):
        holders.add(Sent(f"r{n}", b"a", 5, 7, DIGESTS[0], "T", "", False, 0).message(0) for n in range(65))


def test_nothing_is_required_of_nobody() -> None:
    assert not Required().is_met(["archive"])
    assert not Required(number=2).is_met(["archive", "archive"])


@given(st.integers(-5 * S, 5 * S), st.booleans(), st.booleans(), st.booleans())
def test_a_row_proves_bytes_only_of_a_file_that_has_not_changed_since_its_detection(
    before_ns: int, trusts_ctime: bool, reads_all: bool, has_digest: bool
) -> None:
    detected_ns = 1_700_000_000 * S + 123
    ctime_ns = detected_ns - before_ns
    row = RecordedUpload(DIGESTS[0] if has_digest else b"", detected_ns)
    evidence = evidence_of(ctime_ns, row, trusts_ctime, reads_all)
    is_proved = before_ns > 20_000_000 and trusts_ctime and not reads_all and has_digest
    assert evidence is (Evidence.ROW if is_proved else Evidence.READING)
    assert evidence_of(ctime_ns, None, trusts_ctime, reads_all) is Evidence.NONE


def test_times_in_whole_seconds_tell_less() -> None:
    assert not is_settled(10 * S, 12 * S)
    assert is_settled(10 * S, 12 * S + 1)
    assert is_settled(10 * S + 1, 10 * S + 20_000_002)
