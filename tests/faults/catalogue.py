"""All the faults, in the order of the table."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from tests.faults.scene import Fault


class Section(NamedTuple):
    """Faults that have something in common."""

    title: str
    modules: tuple[str, ...]  # of this package, each with a list FAULTS

    @property
    def faults(self) -> list[Fault]:
        return [fault for name in self.modules for fault in import_module(f"tests.faults.{name}").FAULTS]


SECTIONS = (
    Section("Ourselves", ("killing", "workers", "signals", "outputs", "limits", "clock")),
    Section("Kafka", ("broker_away", "network", "topic_changes", "access", "cluster_nodes")),
    Section("Files", ("changing", "odd_files", "vanishing")),
    Section("The kernel's limits", ("kernel",)),
    Section("Disks", ("disks",)),
)


def all_faults() -> list[Fault]:
    """List the faults of all sections; no two have one name."""
    faults = [fault for section in SECTIONS for fault in section.faults]
    names = [fault.name for fault in faults]
    assert len(set(names)) == len(names), "two faults of one name"
    return faults
