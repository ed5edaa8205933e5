"""What keeps a user from reading a topic, or from committing offsets."""

from __future__ import annotations

import pytest

from dfud.kafka.read_access import offsets_topic_findings, right_findings


@pytest.mark.parametrize("operations", [None, frozenset[str](), frozenset(["READ"]), frozenset(["READ", "WRITE"])])
def test_who_may_read_or_may_not_ask(operations: frozenset[str] | None) -> None:
    assert right_findings("topic", "t", operations) == []


def test_a_right_that_is_missing_is_named() -> None:
    (finding,) = right_findings("group", "g", frozenset(["DESCRIBE"]))
    assert finding.text == (
        "the ACLs of group g do not allow this user to read; grant the operation Read on the group"
    )


@pytest.mark.parametrize(("n_brokers", "factor", "number"), [(1, 3, 1), (2, 3, 1), (3, 3, 0), (5, 3, 0)])
def test_too_few_brokers_for_groups(n_brokers: int, factor: int, number: int) -> None:
    findings = offsets_topic_findings(n_brokers, factor)
    assert len(findings) == number
    assert all(f"offsets.topic.replication.factor = {factor}" in finding.text for finding in findings)
