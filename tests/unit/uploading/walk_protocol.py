"""Drive the model check of the protocol by random walks.

Hypothesis searches cleverly and shrinks what it finds, and takes its time. A plain random walk over the same rules
and invariants costs a small part of that, so that a hundred thousand examples take minutes:

    python -m tests.unit.uploading.walk_protocol

A walk that fails is printed with its seed and its steps.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import traceback
from typing import Any

from tests.unit.uploading.test_protocol import CHANGES, COURSE, FAULTS, LANES, PATHS, Protocol

_MAX_STEPS = 60
_REPORT_INTERVAL = 10_000  # walks


class Walk:
    """One example: a random choice of rules, weighted differently in each, then everything comes to its end."""

    def __init__(self, seed: str) -> None:
        self._random = random.Random(seed)
        self.steps: list[str] = []

    def draw(self, strategy: Any) -> Any:
        """Draw a value as Hypothesis's data() would, from the few kinds of strategies that the model uses."""
        strategy = getattr(strategy, "wrapped_strategy", strategy)
        if hasattr(strategy, "elements"):
            value = self._random.choice(list(strategy.elements))
        elif hasattr(strategy, "start"):
            value = self._random.randint(strategy.start, strategy.end)
        else:
            value = self._random.random() < 0.5
        self.steps.append(f"    drawn: {value!r}")
        return value

    def run(self) -> None:
        """Take the steps; AssertionError if an invariant does not hold."""
        choose = self._random
        protocol = Protocol()
        changes, faults, paths = (self._some(each) for each in (CHANGES, FAULTS, PATHS))
        changes += ["write"] * choose.randint(1, 4)  # without files nothing happens
        rules = (self._go_on, self._change(changes, paths), self._fail(faults), self._settle)
        weights = [choose.random() + 0.1 for _ in rules]
        for _ in range(choose.randint(5, _MAX_STEPS)):
            choose.choices(rules, weights)[0](protocol)
            protocol.recorded_chunks_are_acknowledged()
            protocol.counters_are_those_of_the_entries()
        self.steps.append("teardown")
        protocol.teardown()

    def _some(self, items: tuple[Any, ...]) -> list[Any]:
        return self._random.sample(items, self._random.randint(1, len(items)))

    def _go_on(self, protocol: Protocol) -> None:
        choose = self._random
        steps = choose.choices(COURSE, k=choose.randint(0, 4))
        arguments = {"lane": choose.randrange(LANES), "far": choose.randint(0, 8), "times": choose.randint(1, 5)}
        self.steps.append(f"go_on {arguments} {steps}")
        protocol.go_on(steps=steps, **arguments)

    def _settle(self, protocol: Protocol) -> None:
        self.steps.append("settle")
        protocol.settle()

    def _change(self, changes: list[str], paths: list[bytes]) -> Any:
        def change(protocol: Protocol) -> None:
            kind, path = self._random.choice(changes), self._random.choice(paths)
            self.steps.append(f"change {path!r}: {kind}")
            protocol.change(data=self, path=path, kind=kind)

        return change

    def _fail(self, faults: list[str]) -> Any:
        def fail(protocol: Protocol) -> None:
            kind, lane = self._random.choice(faults), self._random.randrange(LANES)
            self.steps.append(f"fail lane {lane}: {kind}")
            protocol.fail(data=self, lane=lane, kind=kind)

        return fail


def walk(seed: int, count: int) -> int:
    """Take `count` walks; return how many of them failed, each of which is printed."""
    failed = 0
    for number in range(1, count + 1):
        example = Walk(f"{seed}-{number}")
        try:
            example.run()
        except Exception as error:
            failed += 1
            print(f"walk {number} of seed {seed} failed:", *example.steps, sep="\n  ", flush=True)
            traceback.print_exception(type(error), error, error.__traceback__, file=sys.stdout)
        if number % _REPORT_INTERVAL == 0 or number == count:
            print(f"seed {seed}: {number:,} walks, {failed:,} failed", flush=True)
    return failed


def main() -> int:
    """Walk in several processes; return the exit status."""
    parser = argparse.ArgumentParser(
        prog=f"python -m {__spec__.name}", description="Walk the model check at random."
    )
    parser.add_argument("--walks", type=int, default=100_000, help="how many, together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=random.randrange(1_000_000), help="the first process's seed")
    parser.add_argument("--processes", type=int, default=2, help="default: %(default)s")
    options = parser.parse_args()
    each = -(-options.walks // options.processes)
    seeds = range(options.seed, options.seed + options.processes)
    with multiprocessing.Pool(options.processes) as pool:
        failed = sum(pool.starmap(walk, [(seed, each) for seed in seeds]))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
