"""The C loops, compiled here against the librdkafka that the confluent-kafka wheel contains."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import NamedTuple

import confluent_kafka

from benchmarks.command import Command
from benchmarks.peers.job import Job

_HERE = Path(__file__).parent
_BUILD = _HERE.parent / "build"
_PRODUCER = "produce_loop.c"
CONSUMER = "consume_loop.c"


class Built(NamedTuple):
    """A compiled program, or why there is none."""

    path: Path
    missing: str
    has_digests: bool = True  # it can send dfud's headers


@cache
def build(source: str) -> Built:
    """Compile `source`, a file in this directory, once per process."""
    path = _BUILD / source.removesuffix(".c")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return Built(path, "there is no C compiler (Debian: apt install gcc)")
    if not _has_header(compiler, "librdkafka/rdkafka.h"):
        return Built(path, "there is no librdkafka/rdkafka.h (Debian: apt install librdkafka-dev)")
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    libraries = sorted(folder.glob("librdkafka-*.so*"))
    if not libraries:
        return Built(path, f"confluent-kafka is not a wheel with a librdkafka in {folder}")
    has_digests = _has_header(compiler, "xxhash.h")
    _BUILD.mkdir(exist_ok=True)
    flags = ["-O2", "-pthread", *(["-DWITH_DIGESTS"] if has_digests else [])]
    compilation = subprocess.run(
        [compiler, *flags, str(_HERE / source), "-o", str(path), str(libraries[0]), f"-Wl,-rpath,{folder}"],
        capture_output=True,
        text=True,
        check=False,
    )
    failure = f"it does not compile: {compilation.stderr.strip()[:300]}" if compilation.returncode else ""
    return Built(path, failure, has_digests)


def _has_header(compiler: str, header: str) -> bool:
    program = f"#include <stddef.h>\n#include <{header}>\n"
    preprocessing = subprocess.run(
        [compiler, "-E", "-x", "c", "-"], input=program, capture_output=True, text=True, check=False
    )
    return preprocessing.returncode == 0


class CLoop(NamedTuple):
    """The C producer loop, one thread per producer; with `headers` it sends headers and digests as dfud does."""

    producers: int = 1
    headers: bool = False

    @property
    def name(self) -> str:
        """What the tables call it."""
        extra = [f"{self.producers} producers"] if self.producers > 1 else []
        extra += ["headers and digests"] if self.headers else []
        return "C loop" + (f" ({', '.join(extra)})" if extra else "")

    def missing(self) -> str:
        """Return what it needs and this machine lacks, or ""."""
        built = build(_PRODUCER)
        if not built.missing and self.headers and not built.has_digests:
            return "there is no xxhash.h (Debian: apt install libxxhash-dev)"
        return built.missing

    def command(self, job: Job) -> Command:
        """Return the command that does `job`."""
        return Command(
            [
                *(str(build(_PRODUCER).path), job.bootstrap, job.topic, str(job.folder), str(job.chunk_size)),
                *(str(self.producers), "headers" if self.headers else "bare"),
                *job.assignments(),
            ]
        )

    def messages(self, job: Job) -> int:
        """Return how many messages `job` leaves on the topic."""
        return job.dataset.messages(job.chunk_size)
