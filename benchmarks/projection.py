"""What the measured costs mean for one host at a given rate: arithmetic alone."""

from __future__ import annotations

from typing import Any, NamedTuple

from benchmarks.benchmark import figure
from benchmarks.datasets import GIB
from benchmarks.statistics import median

_RATES_GBIT = (1, 10, 100)  # Gbit/s
_FILE_SIZES = ((64 * 1024, "64 KiB"), (1 << 20, "1 MiB"), (1 << 30, "1 GiB"))  # bytes


class Costs(NamedTuple):
    """CPU seconds of dfud and of the broker."""

    per_gib: float
    per_file: float  # of 1 KiB: what a file costs besides its bytes
    broker_per_gib: float


def costs_of(results: dict[str, Any]) -> Costs | None:
    """Return the costs that the benchmarks "large" and "small" measured; None unless both have results."""
    large, small = _dfud(results, "large"), _dfud(results, "small")
    if large is None or small is None:
        return None
    gib = large["bytes"] / GIB
    return Costs(
        median([run["cpu"] for run in large["runs"]]) / gib,
        median([run["cpu"] for run in small["runs"]]) / small["files"],
        median([run["broker_cpu"] for run in large["runs"]]) / gib,
    )


def cores(costs: Costs, gbit: float, file_size: float) -> float:
    """Return how many cores dfud needs at a rate (Gbit/s), with files of `file_size` bytes.

    >>> cores(Costs(2.0, 0.0001, 1.0), 8.589934592, 2**30)
    2.0001
    """
    bytes_per_second = gbit * 1e9 / 8
    return bytes_per_second / GIB * costs.per_gib + bytes_per_second / file_size * costs.per_file


def host_rows(costs: Costs) -> list[list[str]]:
    """Return a row for each rate: bytes per second, and cores for each file size."""
    return [
        [
            f"{gbit} Gbit/s",
            f"{figure(gbit * 125)} MB/s",
            *(f"{figure(cores(costs, gbit, size))}" for size, _ in _FILE_SIZES),
        ]
        for gbit in _RATES_GBIT
    ]


def host_columns() -> list[str]:
    """Return the titles of the columns of `host_rows`."""
    return ["", "bytes", *(f"cores, files of {name}" for _, name in _FILE_SIZES)]


def _dfud(results: dict[str, Any], benchmark: str) -> dict[str, Any] | None:
    for trial in (results.get(benchmark) or {}).get("raw", ()):
        if trial["name"] == "dfud" and trial["runs"]:
            dfud: dict[str, Any] = trial
            return dfud
    return None
