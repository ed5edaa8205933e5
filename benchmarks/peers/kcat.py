"""kcat, as Debian packages it: it sends the records of a stream, or each file as a message."""

from __future__ import annotations

import shutil
from typing import NamedTuple

from benchmarks import datasets
from benchmarks.command import Command
from benchmarks.peers.job import Job

_DELIMITER = b"~!dfud-benchmark!~"


def properties(job: Job) -> list[str]:
    """Return the properties as options of kcat."""
    return [word for item in job.assignments() for word in ("-X", item)]


class Kcat(NamedTuple):
    """`kcat -P`: large files as one stream that a delimiter splits into chunks, small ones by their names."""

    name: str = "kcat -P"

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        return "" if shutil.which("kcat") else "there is no kcat (Debian: apt install kcat)"

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        kcat = ["kcat", "-P", "-q", "-b", job.bootstrap, "-t", job.topic, *properties(job)]
        if job.dataset.size <= job.chunk_size:
            names = job.work / "kcat.names"
            names.write_bytes(b"".join(bytes(path) + b"\0" for path in job.folder.rglob("*.dat")))
            return Command(["xargs", "-0", "-a", str(names), *kcat])
        stream = datasets.add_delimiters(job.folder, job.chunk_size, _DELIMITER)
        return Command([*kcat, "-D", _DELIMITER.decode(), "-l", str(stream)])

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return job.dataset.messages(job.chunk_size)
