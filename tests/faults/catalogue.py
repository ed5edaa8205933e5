"""All faults, in the order of the table."""

from __future__ import annotations

from importlib import import_module
from typing import NamedTuple

from tests.faults.scene import Fault


class Section(NamedTuple):
    """Faults with a common cause."""

    title: str
    modules: tuple[str, ...]  # of this package, each with a list ``FAULTS``

    @property
    def faults(self) -> list[Fault]:
        """The faults of all modules of the section."""
        return [fault for name in self.modules for fault in import_module(f"tests.faults.{name}").FAULTS]


SECTIONS = (
    Section(
        "dfud itself", ("killing", "killed_releases", "runs", "workers", "signals", "outputs", "limits", "clock")
    ),
    Section(
        "Kafka",
        (
            "broker_away",
            "slow_lines",
            "network",
            "topic_changes",
            "retention",
            "access",
            "cluster_nodes",
            "sharing",
        ),
    ),
    Section(
        "Files",
        (
            "changing",
            "storms",
            "odd_files",
            "vanishing",
            "many_users",
            "hostile_owner",
            "hostile_steps",
            "hostile_release",
        ),
    ),
    Section("The kernel's limits", ("kernel",)),
    Section("Disks", ("disks",)),
    Section("Who is told, with nobody at the console", ("telling",)),
    Section("File servers and other file systems", ("file_server", "file_systems")),
)


def all_faults() -> list[Fault]:
    """Return the faults of all sections; their names are unique."""
    faults = [fault for section in SECTIONS for fault in section.faults]
    names = [fault.name for fault in faults]
    assert len(set(names)) == len(names), "two faults have the same name"
    return faults
