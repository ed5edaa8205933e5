"""Look for bytes that break a promise: ``python -m tests.fuzz --seconds 3600``.

Bytes that reach new lines of dfud are kept as seeds, and with ``--keep`` in the corpus. What breaks a promise is
made shorter, printed, and written to a file, with which ``python -m tests.fuzz FILE`` repeats it.
"""

from __future__ import annotations

import argparse
import hashlib
import random
import sys
import time
import traceback
from pathlib import Path

from tests.fuzz.lines import NewLines
from tests.fuzz.play import play

CORPUS = Path(__file__).resolve().parent / "corpus"
_MAX_BYTES = 600
_REPORT_INTERVAL_S = 60.0
_SHORTEN_TIMEOUT_S = 30.0


def main(arguments: list[str]) -> int:
    """Run the command line; return the exit status."""
    options = _parser().parse_args(arguments)
    if options.files:
        for file in options.files:
            play(file.read_bytes())
        return 0
    seeds = [path.read_bytes() for path in sorted(CORPUS.iterdir())]
    return _run(options, seeds)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("files", nargs="*", type=Path, help="bytes to play, and nothing else")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--seed", type=int, default=None, help="of the random numbers")
    parser.add_argument("--out", type=Path, default=Path("fuzz_failures"), help="folder for what breaks a promise")
    parser.add_argument("--keep", action="store_true", help="add bytes that reach new lines to the corpus")
    return parser


def _run(options: argparse.Namespace, seeds: list[bytes]) -> int:
    seed = random.randrange(1_000_000) if options.seed is None else options.seed
    generator = random.Random(seed)
    lines = NewLines()
    print(f"seed {seed}, {len(seeds)} seeds in the corpus", flush=True)
    failures: set[str] = set()
    n_cases, started = 0, time.monotonic()
    next_report = started + _REPORT_INTERVAL_S
    waiting = list(seeds)
    while time.monotonic() - started < options.seconds:
        data = waiting.pop() if waiting else _next(generator, seeds)
        failure = _failure(data)
        n_cases += 1
        if failure and failure not in failures:
            failures.add(failure)
            _report(data, failure, options.out)
        elif not failure and lines.take() and data not in seeds:
            seeds.append(data)
            if options.keep:
                (CORPUS / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
        if time.monotonic() >= next_report:
            next_report += _REPORT_INTERVAL_S
            print(f"{n_cases:,} cases, {len(seeds)} seeds, {len(failures)} failures", flush=True)
    print(f"{n_cases:,} cases, {len(seeds)} seeds, {len(failures)} failures")
    return 1 if failures else 0


def _next(generator: random.Random, seeds: list[bytes]) -> bytes:
    """Return new bytes, or some of the seeds changed a little."""
    if not seeds or generator.random() < 0.3:
        return generator.randbytes(generator.randrange(_MAX_BYTES))
    data = bytearray(generator.choice(seeds))
    for _ in range(generator.randrange(1, 5)):
        at = generator.randrange(len(data) + 1)
        kind = generator.randrange(4)
        if kind == 0:
            data[at : at + 1] = generator.randbytes(1)
        elif kind == 1:
            data[at:at] = generator.randbytes(generator.randrange(1, 8))
        elif kind == 2:
            del data[at : at + generator.randrange(1, 8)]
        else:
            other = generator.choice(seeds)
            data[at:] = other[generator.randrange(len(other) + 1) :]
    return bytes(data[:_MAX_BYTES])


def _failure(data: bytes) -> str:
    """Play `data`; return where and how that fails, which is the same for the same defect; "" if it does not."""
    try:
        play(data)
    except Exception as error:
        last = traceback.extract_tb(error.__traceback__)[-1]
        return f"{type(error).__name__} at {last.filename}:{last.lineno}"
    return ""


def _report(data: bytes, failure: str, folder: Path) -> None:
    data = _shorten(data, failure)
    folder.mkdir(exist_ok=True)
    path = folder / hashlib.sha256(data).hexdigest()[:16]
    path.write_bytes(data)
    print(f"FAILED: {failure}: python -m tests.fuzz {path}  # {data.hex()}", flush=True)
    try:
        play(data)
    except Exception:
        traceback.print_exc()


def _shorten(data: bytes, failure: str) -> bytes:
    """Return shorter and plainer bytes that fail in the same way, if there are any."""
    deadline = time.monotonic() + _SHORTEN_TIMEOUT_S
    length = len(data)
    while length:
        at = 0
        while at < len(data) and time.monotonic() < deadline:
            without = data[:at] + data[at + length :]
            zeroed = (data[:at] + bytes(length) + data[at + length :])[: len(data)]
            if _failure(without) == failure:
                data = without
                continue
            if zeroed != data and _failure(zeroed) == failure:
                data = zeroed
            at += length
        length //= 2
    return data


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
