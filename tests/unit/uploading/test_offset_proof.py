"""Which acknowledgements count."""

from __future__ import annotations

import pytest

from dfud.uploading.offset_proof import TRUSTED_AFTER, OffsetProof


def test_an_acknowledgement_with_an_offset_counts() -> None:
    proof = OffsetProof()
    assert proof.check(0, 0)
    assert proof.check(0, 7)
    assert proof.check(1, 0)


def test_a_broker_that_never_reports_offsets_is_trusted_after_many() -> None:
    proof = OffsetProof(trusted_after=3)
    assert [proof.check(0, None) for _ in range(5)] == [False, False, False, True, True]
    assert TRUSTED_AFTER == 1000


def test_a_broker_that_has_reported_an_offset_is_never_trusted_without() -> None:
    proof = OffsetProof(trusted_after=3)
    proof.check(0, None)
    proof.check(0, 7)
    assert not any(proof.check(0, None) for _ in range(10))


def test_trust_ends_with_the_first_offset() -> None:
    proof = OffsetProof(trusted_after=0)
    assert proof.check(0, None)
    assert proof.check(0, 7)
    assert not proof.check(0, None)


@pytest.mark.parametrize("again", [7, 6, 0])
def test_nothing_counts_after_an_offset_that_is_not_greater(again: int) -> None:
    proof = OffsetProof()
    proof.check(0, 7)
    assert not proof.check(0, again)
    assert not proof.check(0, 100)
    assert not proof.check(1, 0)
    proof.trust()
    assert not proof.check(0, 7)
    proof.trust()
    assert proof.check(0, 8)
    assert proof.check(1, 0)
