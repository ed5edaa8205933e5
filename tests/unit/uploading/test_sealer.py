"""What a manifest has: real folders, and a table in memory."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import cast

import pytest
import xxhash

from dfud.core.manifest import ManifestFile
from dfud.core.version import FileVersion
from dfud.logs.completed.recorded import RecordedVersions
from dfud.messages import RunUnsealed
from dfud.uploading import sealer
from dfud.uploading.sealer import SealSettings, SealTask, UnsealedError, seal
from tests.helpers.recorded import record
from tests.helpers.watching import watch_options


class Bench:
    """A folder of runs, and what is recorded of it."""

    def __init__(self, top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.top = top
        self.recorded = RecordedVersions()
        self.sent: tuple[object, ...] = ()
        self.with_sha256 = False

        def send(*arguments: object) -> None:
            self.sent = arguments[1:]

        monkeypatch.setattr(sealer, "send_manifest", send)

    def write(self, path: str, content: bytes = b"x", digest: bytes | None = b"d" * 16) -> FileVersion:
        file = self.top / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        status = file.stat()
        version = FileVersion(os.fsencode(path), status.st_size, status.st_mtime_ns)
        if digest is not None:
            record(self.recorded, version, digest)
        return version

    def seal(self, folder: bytes, marker: FileVersion, others: frozenset[bytes] = frozenset()) -> list[bytes]:
        """Return the paths in the manifest."""
        watch = watch_options(self.top)._replace(run_markers=("Done*",))
        task = SealTask(folder, marker, others)
        seal(SealSettings("T", {}, (), watch, "run.json", self.with_sha256), task, self.recorded)
        self.head, self.metadata, files = self.sent
        return [file.path for file in files]  # type: ignore[attr-defined]

    def fault(self, marker: FileVersion) -> RunUnsealed:
        with pytest.raises(UnsealedError) as raised:
            self.seal(b"run7", marker)
        return raised.value.message


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    return Bench(tmp_path, monkeypatch)


def test_all_files_of_the_run_that_are_uploaded_are_listed(bench: Bench) -> None:
    for path in ("run7/b", "run7/a/c", "run7/a-", "run77/d", "run7/.hidden", "run7/x.log", "LOGS/run7/a"):
        bench.write(path)
    bench.write("run7/run.json", b'{"sample": "A7"}')
    marker = bench.write("run7/Done", digest=None)
    bench.write("run7/Done2", digest=None)
    assert bench.seal(b"run7", marker, frozenset([b"run7/Done2"])) == [
        b"run7/a-",
        b"run7/a/c",
        b"run7/b",
        b"run7/run.json",
    ]
    assert bench.metadata == {"sample": "A7"}
    top = bench.write("Done", digest=None)
    record(bench.recorded, marker, b"d" * 16)
    assert len(bench.seal(b"", top, frozenset([b"run7/Done2"]))) == 6
    assert bench.metadata is None


def test_a_file_that_is_not_recorded_in_its_present_version_is_named(bench: Bench) -> None:
    marker = bench.write("run7/Done", digest=None)
    bench.write("run7/a")
    (bench.top / "run7/a").write_bytes(b"longer")
    fault = bench.fault(marker)
    assert fault.reason == "run7/a is not on the topic in the present version"
    assert fault.is_waiting
    bench.write("run7/\x1b[2J", digest=None)
    assert bench.fault(marker).reason.startswith("2 files, such as run7/\\x1b[2J, are not")


def test_sha256_is_that_of_the_bytes_that_were_sent(bench: Bench) -> None:
    bench.with_sha256 = True
    marker = bench.write("run7/Done", digest=None)
    bench.write("run7/a", b"sent", digest=xxhash.xxh3_128_digest(b"sent"))
    bench.seal(b"run7", marker)
    files = cast("list[ManifestFile]", bench.sent[2])
    assert [file.sha256 for file in files] == [hashlib.sha256(b"sent").hexdigest()]
    bench.write("run7/b", b"now", digest=xxhash.xxh3_128_digest(b"old"))
    fault = bench.fault(marker)
    assert (fault.reason, fault.is_waiting) == ("run7/b has changed since it was sent", True)


def test_a_digest_that_is_not_known_is_named(bench: Bench) -> None:
    marker = bench.write("run7/Done", digest=None)
    bench.write("run7/a", digest=bytes(16))
    assert "OpenMSIStream" in bench.fault(marker).reason


@pytest.mark.parametrize("content", [b"[]", b"{", b'"' + b"x" * 70_000 + b'"'])
def test_metadata_that_is_none_is_named(bench: Bench, content: bytes) -> None:
    marker = bench.write("run7/Done", digest=None)
    bench.write("run7/run.json", content)
    assert bench.fault(marker).reason.startswith("run7/run.json cannot be its metadata: it is ")


def test_a_marker_that_has_changed_or_gone(bench: Bench) -> None:
    marker = bench.write("run7/Done", digest=None)
    (bench.top / "run7/Done").write_bytes(b"longer")
    assert bench.fault(marker).is_marker_gone
    (bench.top / "run7/Done").unlink()
    assert bench.fault(marker).is_marker_gone
