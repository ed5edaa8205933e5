"""Cause the faults and print what each one cost; exit with 0 if nothing was lost and all of them passed."""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import tempfile
import time
from pathlib import Path

from dfud.broker.jars import KAFKA_VERSION
from dfud.broker.node import KafkaNode
from tests.faults import report
from tests.faults.catalogue import SECTIONS, all_faults
from tests.faults.performance import Row, perform
from tests.faults.scene import Fault
from tests.helpers.dispositions import default_dispositions_for_children

DOCUMENT = Path(__file__).resolve().parents[2] / "docs" / "reliability.md"


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    default_dispositions_for_children()
    chosen = _choose(options.names)
    if options.list:
        for fault in chosen:
            print(f"{fault.name}: {fault.times} times{f', {fault.quick} with --quick' if fault.quick else ''}")
        return 0
    if options.quick:
        chosen = [fault for fault in chosen if fault.quick]
    if not chosen:
        print("scripts/faults: no such fault; see --list", file=sys.stderr)
        return 2
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    print(f"seed {seed}: --seed {seed} repeats all of it with the same instants and bytes", flush=True)
    began = time.monotonic()
    rows = _perform_all(chosen, seed, options)
    minutes = (time.monotonic() - began) / 60
    print()
    for line in report.plain(rows):
        print(line)
    print(f"\n{report.summary([row.cells() for row in rows])}, in {minutes:.1f} minutes, with seed {seed}")
    return 0 if all(row.verdict != "FAILED" for row in rows) else 1


def _choose(names: list[str]) -> list[Fault]:
    """Return the faults whose name or section title contains one of `names`; all faults if there are none."""
    if not names:
        return all_faults()
    return [
        fault
        for section in SECTIONS
        for fault in section.faults
        if any(name.lower() in f"{section.title}\n{fault.name}".lower() for name in names)
    ]


def _perform_all(faults: list[Fault], seed: int, options: argparse.Namespace) -> list[Row]:
    """Cause the faults; after each, the table of the document has its row, if it is to be reported."""
    rows = []
    with tempfile.TemporaryDirectory(prefix="dfud-faults-") as name:
        work = Path(name)
        with KafkaNode(work / "kafka", announce=lambda line: print(line, flush=True)) as kafka:
            for fault in faults:
                row = perform(fault, kafka, work, seed, options.quick)
                print(f"{row.verdict:7}  {row.took:6.1f} s  {fault.name}", flush=True)
                for failure in row.tally.first_failures():
                    print(f"    {failure}", flush=True)
                rows.append(row)
                if options.report:
                    report.write(DOCUMENT, _report(rows, seed))
    return rows


def _report(rows: list[Row], seed: int) -> list[str]:
    """Return the lines of the document's table with the new `rows` in it."""
    by_name = {**report.parse(report.read(DOCUMENT)), **{row.fault.name: row.cells() for row in rows}}
    sections = [
        (section.title, [by_name[fault.name] for fault in section.faults if fault.name in by_name])
        for section in SECTIONS
    ]
    return [
        *report.markdown(sections),
        "",
        f"{report.summary([row for _, each in sections for row in each])}. On {os.cpu_count()} cores, "
        f"Linux {platform.release().split('-')[0]}, Python {platform.python_version()}, Kafka {KAFKA_VERSION}; "
        f"the rows that were renewed last: `scripts/faults --seed {seed}`.",
    ]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/faults", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="FAULT", help="parts of the names of faults or sections")
    parser.add_argument("--list", action="store_true", help="list the faults without causing them")
    parser.add_argument("--quick", action="store_true", help="cause only the quick ones, a few times each")
    parser.add_argument("--seed", type=int, help="repeat the instants and bytes of an earlier run")
    parser.add_argument(
        "--report", action="store_true", help=f"also renew the rows of the table in docs/{DOCUMENT.name}"
    )
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
