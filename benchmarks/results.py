"""The results on disk: one JSON file with the newest result of each benchmark."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.benchmark import Benchmark, Plan, Result

LATEST = Path(__file__).parent / "results" / "latest.json"


def read(path: Path) -> dict[str, Any]:
    """Return the results by the names of their benchmarks; none if there is no file."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))["benchmarks"]
    except FileNotFoundError:
        return {}
    return data


def add(path: Path, benchmark: Benchmark, plan: Plan, result: Result, seconds: float) -> None:
    """Store a result, replacing an earlier one of the same benchmark."""
    data = read(path)
    data[benchmark.name] = {
        "title": benchmark.title,
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "took": round(seconds, 1),
        "rounds": plan.rounds,
        "quick": plan.quick,
        "machine": {**machine.describe(), "load": round(machine.load(), 2)},
        **_rounded(result.as_data()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps({"benchmarks": data}, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new, path)


def _rounded(value: Any) -> Any:
    """Return all numbers rounded to five significant digits."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value
