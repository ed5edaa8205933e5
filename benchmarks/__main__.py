"""The command line of the benchmarks; `scripts/bench` starts it in an environment of its own."""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from benchmarks import report, results
from benchmarks.benchmark import Benchmark, Plan
from benchmarks.command import CommandFailedError
from benchmarks.suite import ALL
from benchmarks.testbed import Testbed

# They would make Python compile every module at each start, write each line separately, or import this dfud where
# another version is measured.
_DISTORTING_VARIABLES = ("PYTHONDONTWRITEBYTECODE", "PYTHONUNBUFFERED", "PYTHONPATH")
_DEFAULT_ROUNDS = 5


def main(arguments: list[str]) -> int:
    """Run the named benchmarks, or all of them, and store their results; return the exit status."""
    options = _parser().parse_args(arguments)
    if options.list:
        for benchmark in ALL.values():
            print(f"{benchmark.name:12} {benchmark.title}")
        return 0
    if options.report:
        report.write(options.results, print)
        return 0
    unknown = [name for name in options.names if name not in ALL]
    if unknown:
        print(f"scripts/bench: no such benchmark: {' '.join(unknown)}; see --list", file=sys.stderr)
        return 2
    for name in _DISTORTING_VARIABLES:
        os.environ.pop(name, None)
    plan = Plan(options.rounds or (1 if options.quick else _DEFAULT_ROUNDS), options.quick)
    benchmarks = [ALL[name] for name in options.names or ALL]
    with Testbed(options.work, _print_now) as testbed:
        succeeded = [_run(benchmark, testbed, plan, options.results) for benchmark in benchmarks]
    return 0 if all(succeeded) else 1


def _run(benchmark: Benchmark, testbed: Testbed, plan: Plan, path: Path) -> bool:
    """Run a benchmark and store its result; return False if it failed, True also if it cannot run here."""
    missing = benchmark.missing()
    if missing:
        _print_now(f"{benchmark.name}: skipped: {missing}")
        return True
    _print_now(f"{benchmark.name}: {benchmark.title}")
    started = time.monotonic()
    try:
        result = benchmark.run(testbed, plan)
    except CommandFailedError as error:
        _print_now(f"{benchmark.name}: failed: {error}")
        return False
    results.add(path, benchmark, plan, result, time.monotonic() - started)
    for line in report.plain(result.as_data()):
        _print_now(f"  {line}")
    return True


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="scripts/bench", description="Compare dfud with OpenMSIStream, Kafka's own tools, kcat and a C loop."
    )
    parser.add_argument("names", nargs="*", metavar="BENCHMARK", help="what to measure (default: everything)")
    parser.add_argument("--list", action="store_true", help="list the benchmarks and exit")
    parser.add_argument(
        "--rounds", type=int, help=f"how many times each candidate runs (default: {_DEFAULT_ROUNDS})"
    )
    parser.add_argument(
        "--quick", action="store_true", help="one round of little work, only to see that everything runs"
    )
    parser.add_argument(
        "--report", action="store_true", help="write tables and charts into the docs from the results, and exit"
    )
    parser.add_argument(
        "--results",
        type=Path,
        default=results.LATEST,
        help="the JSON file of results (default: benchmarks/results/latest.json)",
    )
    parser.add_argument(
        "--work",
        type=Path,
        default=Path(tempfile.gettempdir()) / f"dfud-bench-{os.getuid()}",
        help="directory for the files and the broker's data, about 30 GB (default: %(default)s)",
    )
    return parser


def _print_now(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
