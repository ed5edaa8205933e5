"""The arithmetic behind the projection for one host."""

from __future__ import annotations

import pytest

from benchmarks.projection import Costs, cores, costs_of, host_columns, host_rows

COSTS = Costs(per_gib=2.0, per_file=0.0001, broker_per_gib=1.0)


def test_bytes_and_files_both_have_a_cost() -> None:
    gib_per_second = 8 * 2**30 / 1e9  # Gbit/s
    assert cores(COSTS, gib_per_second, 2**30) == pytest.approx(2.0 + 0.0001)
    assert cores(COSTS, gib_per_second, 2**10) == pytest.approx(2.0 + 0.0001 * 2**20)


def test_ten_times_the_rate_takes_ten_times_the_cores() -> None:
    assert cores(COSTS, 100, 1 << 20) == pytest.approx(10 * cores(COSTS, 10, 1 << 20))


def test_costs_are_medians_of_the_runs() -> None:
    def result(files: int, size: int, cpu: list[float]) -> dict[str, object]:
        runs = [{"cpu": each, "broker_cpu": 1.0} for each in cpu]
        return {
            "raw": [{"name": "C loop", "runs": []}, {"name": "dfud", "files": files, "bytes": size, "runs": runs}]
        }

    results = {"large": result(4, 2**29, [1.0, 9.0, 1.2]), "small": result(1000, 2**20, [0.1])}
    assert costs_of(results) == Costs(2.4, 0.0001, 2.0)
    assert costs_of({"large": results["large"]}) is None


def test_each_row_has_a_cell_for_each_column() -> None:
    assert {len(row) for row in host_rows(COSTS)} == {len(host_columns())}
