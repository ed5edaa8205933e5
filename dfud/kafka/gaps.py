"""How it is said which messages of a topic cannot be read."""

from __future__ import annotations

from dfud.messages import Gap

_TEXTS = {
    "deleted": "{were} deleted (retention.ms or retention.bytes of the topic, or a deletion)",
    "damaged": "cannot be read and {are} skipped",
    "cut": "{are} no longer there, as after an unclean leader election; what took the place is read",
    "hidden": "cannot be read before a transaction ends that is open",
}
_ONE = {"were": "was", "are": "is"}
_SEVERAL = {"were": "were", "are": "are"}


def offsets_text(partition: int, first: int, last: int) -> str:
    """Return the name of consecutive offsets of a partition."""
    return f"partition {partition}: " + (f"offset {first}" if first == last else f"offsets {first}-{last}")


def cause_text(gap: Gap) -> str:
    """Return what has become of the messages in a gap."""
    text = _TEXTS[gap.cause].format_map(_ONE if gap.first == gap.last else _SEVERAL)
    return f"{text}: {gap.reason}" if gap.reason else text


def gap_text(gap: Gap) -> str:
    """Return which messages are missing, and why."""
    return f"{offsets_text(gap.partition, gap.first, gap.last)} {cause_text(gap)}"
