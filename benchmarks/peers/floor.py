"""The C floor: built here, against the very librdkafka that confluent-kafka brings."""

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


class Built(NamedTuple):
    """A program, or why there is none."""

    path: Path
    missing: str
    digests: bool = True  # it can send dfud's headers


@cache
def build(source: str) -> Built:
    """Compile `source` (a file here) unless that was done already."""
    path = _BUILD / source.removesuffix(".c")
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        return Built(path, "there is no C compiler (Debian: apt install gcc)")
    if not _has_header(compiler, "librdkafka/rdkafka.h"):
        return Built(path, "there is no librdkafka/rdkafka.h (Debian: apt install librdkafka-dev)")
    folder = Path(confluent_kafka.__file__).parent.parent / "confluent_kafka.libs"
    libraries = sorted(folder.glob("librdkafka-*.so*"))
    if not libraries:
        return Built(path, f"confluent-kafka is no wheel with a librdkafka in {folder}")
    digests = _has_header(compiler, "xxhash.h")
    _BUILD.mkdir(exist_ok=True)
    flags = ["-O2", "-pthread", *(["-DWITH_DIGESTS"] if digests else [])]
    done = subprocess.run(
        [compiler, *flags, str(_HERE / source), "-o", str(path), str(libraries[0]), f"-Wl,-rpath,{folder}"],
        capture_output=True,
        text=True,
        check=False,
    )
    return Built(path, f"it does not compile: {done.stderr.strip()[:300]}" if done.returncode else "", digests)


def _has_header(compiler: str, header: str) -> bool:
    program = f"#include <stddef.h>\n#include <{header}>\n"
    tried = subprocess.run(
        [compiler, "-E", "-x", "c", "-"], input=program, capture_output=True, text=True, check=False
    )
    return tried.returncode == 0


class Floor(NamedTuple):
    """The C loop: a thread and a producer each; `whole` sends headers and digests as dfud does."""

    producers: int = 1
    whole: bool = False

    @property
    def name(self) -> str:
        extra = [f"{self.producers} producers"] if self.producers > 1 else []
        extra += ["headers and digests"] if self.whole else []
        return "C loop" + (f" ({', '.join(extra)})" if extra else "")

    def missing(self) -> str:
        built = build("floor.c")
        if not built.missing and self.whole and not built.digests:
            return "there is no xxhash.h (Debian: apt install libxxhash-dev)"
        return built.missing

    def command(self, job: Job) -> Command:
        return Command(
            [
                *(str(build("floor.c").path), job.bootstrap, job.topic, str(job.folder), str(job.chunk_size)),
                *(str(self.producers), "whole" if self.whole else "bare"),
                *job.assignments(),
            ]
        )

    def messages(self, job: Job) -> int:
        return job.dataset.messages(job.chunk_size)
