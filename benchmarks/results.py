"""The results on disk: one JSON file, an entry a question, the newest answer of each."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

from benchmarks import machine
from benchmarks.answers import Answer, Plan, Question

LATEST = Path(__file__).parent / "results" / "latest.json"


def read(path: Path) -> dict[str, Any]:
    """Return the results; none where there is no file."""
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {"questions": {}}
    return data


def add(path: Path, question: Question, plan: Plan, answer: Answer, seconds: float) -> None:
    """Put an answer in the place of an earlier one to the same question."""
    data = read(path)
    data["questions"][question.name] = {
        "title": question.title,
        "asked": time.strftime("%Y-%m-%d", time.gmtime()),
        "took": round(seconds, 1),
        "rounds": plan.rounds,
        "quick": plan.quick,
        "machine": {**machine.describe(), "load": round(machine.load(), 2)},
        **_rounded(answer.as_data()),
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    new.write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    os.replace(new, path)


def _rounded(value: Any) -> Any:
    """Return numbers with as many digits as mean something."""
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {name: _rounded(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_rounded(each) for each in value]
    return value
