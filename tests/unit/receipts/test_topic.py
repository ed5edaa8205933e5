"""Which topics can keep receipts."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from dfud.kafka.topic_facts import Partition, Severity, TopicFacts
from dfud.receipts.topic import receipt_findings

RIGHTS = frozenset({"WRITE", "DESCRIBE"})


@pytest.mark.parametrize(
    ("settings", "operations", "expected"),
    [
        pytest.param({"cleanup.policy": "compact"}, RIGHTS, [], id="compacted"),
        pytest.param(
            {"cleanup.policy": "delete"}, RIGHTS, [(Severity.REFUSAL, "cleanup.policy to compact")], id="deleting"
        ),
        pytest.param(
            {"cleanup.policy": "compact,delete"}, RIGHTS, [(Severity.WARNING, "old receipts vanish")], id="both"
        ),
        pytest.param(
            {"cleanup.policy": "compact"},
            {"READ"},
            [(Severity.REFUSAL, "grant the operation Write")],
            id="no-right",
        ),
        pytest.param(None, RIGHTS, [(Severity.WARNING, "grant the operation DescribeConfigs")], id="unseen"),
        pytest.param(
            {"cleanup.policy": "compact", "min.insync.replicas": "2"},
            RIGHTS,
            [(Severity.REFUSAL, "min.insync.replicas to 1")],
            id="too-few-replicas",
        ),
        pytest.param(
            {"cleanup.policy": "compact", "max.message.bytes": "1000"},
            RIGHTS,
            [(Severity.REFUSAL, "max.message.bytes to 524288")],
            id="too-small",
        ),
    ],
)
def test_a_topic_that_would_lose_receipts_is_refused(
    settings: Mapping[str, str] | None, operations: frozenset[str], expected: list[tuple[Severity, str]]
) -> None:
    facts = TopicFacts("R", "id", (Partition(1, 1, 1),), settings, operations, unseen="not allowed")
    found = [finding for finding in receipt_findings(facts) if finding.severity is not Severity.NOTE]
    assert [severity for severity, _ in expected] == [finding.severity for finding in found]
    assert all(text in finding.text for (_, text), finding in zip(expected, found))
