"""Which acknowledgements count."""

from __future__ import annotations

from dfud.uploading.offset_proof import TRUSTED_AFTER, OffsetProof


def test_an_acknowledgement_with_an_offset_counts() -> None:
    proof = OffsetProof()
    assert proof.check(0)
    assert proof.check(7)


def test_a_broker_that_never_reports_offsets_is_trusted_after_many() -> None:
    proof = OffsetProof(trusted_after=3)
    assert [proof.check(None) for _ in range(5)] == [False, False, False, True, True]
    assert TRUSTED_AFTER == 1000


def test_a_broker_that_has_reported_an_offset_is_never_trusted_without() -> None:
    proof = OffsetProof(trusted_after=3)
    proof.check(None)
    proof.check(7)
    assert not any(proof.check(None) for _ in range(10))


def test_trust_ends_with_the_first_offset() -> None:
    proof = OffsetProof(trusted_after=0)
    assert proof.check(None)
    assert proof.check(7)
    assert not proof.check(None)
