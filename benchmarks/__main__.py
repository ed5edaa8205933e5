"""The command line of the benchmarks; `scripts/bench` starts it in an environment of its own."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report, results
from benchmarks.answers import Plan, Question
from benchmarks.command import CommandFailed
from benchmarks.questions import ALL
from benchmarks.stage import Stage

# What would have the programs compile their modules at each start, or write each line by itself.
_NOT_OURS = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED")


def main(arguments: list[str]) -> int:
    """Ask the questions that are named, or all; keep the answers."""
    options = _parser().parse_args(arguments)
    if options.list:
        for question in ALL.values():
            print(f"{question.name:12} {question.title}")
        return 0
    if options.report:
        report.write(options.results, print)
        return 0
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        print(f"scripts/bench: no such question: {' '.join(unknown)}; see --list", file=sys.stderr)
        return 2
    for name in _NOT_OURS:
        os.environ.pop(name, None)
    plan = Plan(options.rounds or (1 if options.quick else 5), options.quick)
    questions = [ALL[name] for name in options.names or ALL]
    with Stage(options.work, _say) as stage:
        answered = [_ask(question, stage, plan, options.results) for question in questions]
    return 0 if all(answered) else 1


def _ask(question: Question, stage: Stage, plan: Plan, path: Path) -> bool:
    """Ask and keep the answer; return whether there is one, or none is to be had here."""
    why = question.missing()
    if why:
        _say(f"{question.name}: left out: {why}")
        return True
    _say(f"{question.name}: {question.title}")
    began = time.monotonic()
    try:
        answer = question.ask(stage, plan)
    except CommandFailed as problem:
        _say(f"{question.name}: no answer: {problem}")
        return False
    results.add(path, question, plan, answer, time.monotonic() - began)
    for line in report.plain(answer.as_data()):
        _say(f"  {line}")
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/bench", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="QUESTION", help="what to measure; everything if none is named"
    )
    parser.add_argument("--list", action="store_true", help="list the questions")
    parser.add_argument("--rounds", type=int, help="how many times each contestant runs (5)")
    parser.add_argument("--quick", action="store_true", help="one round of little work: does everything run?")
    parser.add_argument("--report", action="store_true", help="write tables and charts from the results, and end")
    parser.add_argument("--results", type=Path, help="the JSON file (benchmarks/results/latest.json)")
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / f"dfud-bench-{os.getuid()}",
        help="folder for the files and the broker's data; some 30 GB",
    )
    parser.set_defaults(results=results.LATEST)
    return parser


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
