"""What the measured costs mean for one host and for a site, by arithmetic alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.answers import figure
from benchmarks.datasets import GIB
from benchmarks.statistics import median

_RATES = (1, 10, 100)  # Gbit/s
_FILE_SIZES = ((64 * 1024, "64 KiB"), (1 << 20, "1 MiB"), (1 << 30, "1 GiB"))


class Costs(NamedTuple):
    """CPU seconds of dfud, and of the broker."""

    per_gib: float
    per_file: float  # of 1 KiB: what a file costs besides its bytes
    broker_per_gib: float


def costs_of(answers: dict[str, Any]) -> Costs | None:
    """Return the costs that the questions "large" and "small" have found, or None where they were not asked."""
    large, small = _dfud(answers, "large"), _dfud(answers, "small")
    if large is None or small is None:
        return None
    gib = large["bytes"] / GIB
    return Costs(
        median([run["cpu"] for run in large["runs"]]) / gib,
        median([run["cpu"] for run in small["runs"]]) / small["files"],
        median([run["broker_cpu"] for run in large["runs"]]) / gib,
    )


def cores(costs: Costs, gbit: float, file_size: float) -> float:
    """Return how many cores dfud takes at a rate, in files of one size.

    >>> cores(Costs(2.0, 0.0001, 1.0), 8.589934592, 2**30)
    2.0001
    """
    bytes_a_second = gbit * 1e9 / 8
    return bytes_a_second / GIB * costs.per_gib + bytes_a_second / file_size * costs.per_file


def host_rows(costs: Costs) -> list[list[str]]:
    """Return a row for each rate: bytes, and cores by the size of the files."""
    return [
        [
            f"{gbit} Gbit/s",
            f"{figure(gbit * 125)} MB/s",
            *(f"{figure(cores(costs, gbit, size))}" for size, _ in _FILE_SIZES),
        ]
        for gbit in _RATES
    ]


def host_columns() -> list[str]:
    return ["", "bytes", *(f"cores, files of {name}" for _, name in _FILE_SIZES)]


def _dfud(answers: dict[str, Any], question: str) -> dict[str, Any] | None:
    for row in (answers.get(question) or {}).get("raw", ()):
        if row["name"] == "dfud" and row["runs"]:
            found: dict[str, Any] = row
            return found
    return None
