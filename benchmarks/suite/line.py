"""A distant broker: a line of 50 ms round trip and 1 Gbit/s."""

from __future__ import annotations

import sys
from functools import partial

from benchmarks import long_line
from benchmarks.benchmark import Benchmark, Plan, Result, comparison_result, ratio_verdicts
from benchmarks.command import Command
from benchmarks.comparison import Candidate, Trial, run_rounds, trial_of
from benchmarks.datasets import KIB, MIB, Dataset
from benchmarks.peers import plain_tcp
from benchmarks.peers.c_loop import CLoop
from benchmarks.peers.dfud_upload import Dfud
from benchmarks.peers.job import DEFAULT_CHUNK
from benchmarks.testbed import Testbed

TITLE = "1 GiB over a line of 50 ms round trip and 1 Gbit/s"
TARGET = 0.9  # of what plain TCP carries
_LARGE_CHUNK = 512 * KIB  # so that a batch is one message: librdkafka has five messages of a partition under way
_CONNECTIONS = 4  # fewer do not fill the line: the kernel limits what one has under way


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud and the C loop with plain TCP over the same line."""
    data = Dataset(8, (4 if plan.quick else 128) * MIB)
    # Kafka's own buffer of 100 KiB would limit each connection to 2 MB/s, whatever a client does.
    properties = {"socket.receive.buffer.bytes": "-1"}
    plain = f"plain TCP, {_CONNECTIONS} connections"
    with (
        long_line.own_network(),
        Testbed(testbed.work, testbed.announce, properties, name="kafka-line") as distant,
        plain_tcp.receiving() as port,
        long_line.long_line([port, int(distant.bootstrap.rpartition(":")[2])]),
    ):
        send = Command([sys.executable, "-m", plain_tcp.__name__, str(port), str(data.bytes), str(_CONNECTIONS)])
        peers = [
            Candidate(peer, data, size, label=f"{peer.name}, chunks of {size // KIB} KiB")
            for size in (DEFAULT_CHUNK, _LARGE_CHUNK)
            for peer in (Dfud(), CLoop(2))
        ]
        peers.append(Candidate(Dfud(), Dataset(1, data.bytes), label="dfud, one file"))
        trials = [
            Trial(plain, partial(distant.measure, send), data.files, data.bytes),
            *(trial_of(distant, each) for each in peers),
        ]
        rows = run_rounds(trials, plan.rounds, testbed.announce)
    notes = [
        "The line is a TUN device in a network namespace: sockets and the kernel's TCP are those of a real one. "
        "The broker has `socket.receive.buffer.bytes = -1`: with Kafka's default a connection carries 2 MB/s."
    ]
    verdicts = ratio_verdicts(rows, peers[0].name, plain, "MB/s", TARGET)
    return comparison_result(TITLE, rows, "MB/s", verdicts, notes)


BENCHMARK = Benchmark("line", TITLE, run, long_line.missing)
