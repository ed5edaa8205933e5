"""One case: a topic that bytes describe, downloaded with crashes, and compared with what the model says."""

from __future__ import annotations

import contextlib
import os
import subprocess
import tempfile
from pathlib import Path

from dfud.core.chunk import BadMessageError, Chunk, ForeignMessageError
from dfud.core.decode import read_chunk
from tests.fuzz.choices import Choices
from tests.fuzz.messages import HOSTILE_PATHS, PATHS, Version, choose_hostile, choose_version
from tests.fuzz.model import Model
from tests.helpers.downloading import Record
from tests.helpers.fetching import Bench

MAX_STEPS = 60
_MAX_DESCRIPTORS = 250  # more than before: files and folders that are kept open
_MAX_PART_BYTES = 1 << 20  # on disk
_HOSTILE_TOPS = {path.split(b"/")[0] for path in HOSTILE_PATHS if path}


class BrokenPromiseError(AssertionError):
    """What the download must never do; the text says what it was."""


class _Case:
    """A directory with things planted in it, beside one that nothing may touch."""

    def __init__(self, folder: Path) -> None:
        self.top = folder / "target"
        self.outside = folder / "outside"
        self.top.mkdir()
        self.outside.mkdir()
        (self.outside / "canary").write_bytes(b"untouched")
        (self.top / "link").symlink_to(self.outside)
        (self.top / "file").write_bytes(b"of the user")
        os.mkfifo(self.top / "fifo")
        self.folder = folder
        self.bench = Bench(self.top)
        self.model = Model()
        self.latest: dict[bytes, Version] = {}  # by path, what was sent last
        self.tops = {path.split(b"/")[0] for path in PATHS} | _HOSTILE_TOPS  # what a message may make

    def send(self, version: Version, start: int = 0, end: int | None = None) -> None:
        """Take some of the messages of an honest version; nothing that it replaces is resumed afterwards."""
        path = version.path
        for other in list(self.latest):
            if other.startswith(path + b"/") or path.startswith(other + b"/"):
                del self.latest[other]
        self.latest[path] = version
        self.take(version.records()[start:end], is_honest=True)

    def take(self, records: list[Record], is_honest: bool) -> None:
        for at, record in enumerate(records, len(self.bench.log)):
            chunk = _chunk(record)
            if chunk is not None:
                self.tops.add(chunk.path.split(b"/")[0])
            if chunk is not None and (is_honest or chunk.path in PATHS):
                self.model.take(chunk, at)
            elif is_honest:
                raise BrokenPromiseError(f"an honest message is refused: {record}")
        self.bench.take(*records)

    def check(self) -> None:
        expected = self.model.files()
        places = {path: self.top / os.fsdecode(path) for path in PATHS}
        found = {path: place.read_bytes() for path, place in places.items() if place.is_file()}
        for path in found.keys() | expected.keys():
            if found.get(path) != expected.get(path):
                raise BrokenPromiseError(f"{path!r} is {found.get(path)!r} in place of {expected.get(path)!r}")
        if sorted(os.listdir(self.folder)) != ["outside", "target"] or os.listdir(self.outside) != ["canary"]:
            raise BrokenPromiseError("something was made outside of the directory")
        if (self.outside / "canary").read_bytes() != b"untouched":
            raise BrokenPromiseError("a file outside of the directory was written")
        strange = set(os.listdir(os.fsencode(self.top))) - self.tops - {b"LOGS", b"file"}
        if strange:
            raise BrokenPromiseError(f"{strange} was made")
        used = sum(os.stat(self.bench.parts / name).st_blocks * 512 for name in os.listdir(self.bench.parts))
        if used > _MAX_PART_BYTES:
            raise BrokenPromiseError(f"{used} bytes are used for parts")


def count_descriptors() -> int:
    """Return how many files are open, of which nothing is left to the collector of garbage."""
    return len(os.listdir("/proc/self/fd"))


def _chunk(record: Record) -> Chunk | None:
    try:
        return read_chunk(record.key, record.value, record.headers)
    except (ForeignMessageError, BadMessageError):
        return None


def play(data: bytes) -> None:
    """Run the case that `data` describes; BrokenPromiseError, or whatever a defect raises."""
    choices = Choices(data)
    before = count_descriptors()
    with tempfile.TemporaryDirectory(prefix="dfud-fuzz-") as folder:
        case = _Case(Path(folder))
        with contextlib.closing(case.bench):
            versions: list[Version] = []
            for _ in range(MAX_STEPS):
                if choices.is_over:
                    break
                _step(case, choices, versions)
                if count_descriptors() - before > _MAX_DESCRIPTORS:
                    raise BrokenPromiseError("descriptors leak")
            incomplete = case.bench.end()
            case.check()
            if not incomplete:  # a part of a later attempt does not take chunks of an earlier one
                case.bench.restart()
                case.bench.take_all_again()
                case.bench.end()
                case.check()
        subprocess.run(["rm", "-rf", case.top], check=True)  # `tempfile` recurses, and there are deep folders
    if count_descriptors() != before:
        raise BrokenPromiseError("descriptors leak")


def _step(case: _Case, choices: Choices, versions: list[Version]) -> None:
    kind = choices.below(16)
    if kind < 6:
        versions.append(choose_version(choices))
        case.send(versions[-1])
    elif kind < 8 and versions:  # once more, whole
        case.send(choices.of(versions))
    elif kind == 8:  # the upload is interrupted
        versions.append(choose_version(choices))
        case.send(versions[-1], end=choices.below(len(versions[-1].records()) + 1))
    elif kind == 9 and case.latest:  # and resumed: an upload goes on with the version that a path had last
        version = choices.of(tuple(case.latest.values()))
        case.send(version, choices.below(len(version.records())))
    elif kind < 13:
        case.take([choose_hostile(choices) for _ in range(1 + choices.below(4))], is_honest=False)
    elif kind == 13:
        case.bench.save()
    elif kind == 14:
        case.bench.restart()
        case.bench.take_again()
    else:
        case.bench.end()
        case.bench.restart()
