"""One run, as its manifest lists it, beside the topic and the directory."""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from dfud.core.version import FileVersion
from dfud.files.openat import DEFAULT_LINKS
from dfud.messages import Gap
from dfud.verifying.checker import TopicChecker
from dfud.verifying.collector import Collector
from dfud.verifying.reader import ReadSettings
from dfud.verifying.report import Report
from dfud.verifying.run_check import RunManifests, compare_run
from dfud.verifying.run_reader import RunReader
from tests.helpers.downloading import Record, native
from tests.helpers.fetching import NOW, Taken
from tests.helpers.staging import listed, manifest, sealed

FILES = {b"a": b"1" * 3000, b"sub/b": b"22"}
GAP = Gap("", 0, 1, 2, "deleted", "")


class Verified(NamedTuple):
    is_proved: bool
    files: list[dict[str, Any]]
    summary: dict[str, Any]
    gaps: list[Any]


def verify(directory: Path, records: Iterable[Record], run: bytes = b"run7") -> Verified:
    """Verify a run against these messages of one partition, of which two could not be read."""
    checker = TopicChecker(str(directory))
    notes: list[str] = []
    manifests = RunManifests(notes.append)
    collector = Collector(say=notes.append, on_manifest=manifests.add)
    reader = RunReader(run, checker, collector.handle)
    reader.check([Taken(record, at) for at, record in enumerate(records)])
    verdicts = checker.pop_verdicts()
    if verdicts is not None:
        collector.handle(verdicts)
    for partial in checker.partials():
        collector.handle(partial)
    output = io.StringIO()
    report = Report(output, as_json=True, print0=False)
    settings = ReadSettings(str(directory), "T", {}, 1, {}, DEFAULT_LINKS, "", run)
    totals = compare_run(run, manifests.last, settings, collector, [GAP], report)
    is_proved = report.finish(totals)
    assert notes == []
    printed = json.loads(output.getvalue())
    assert printed["summary"]["proved"] == is_proved
    return Verified(is_proved, printed["files"], printed["summary"], printed["gaps"])


def write(directory: Path, run: str = "run7") -> None:
    for path, data in {**FILES, b"Done": b"done"}.items():
        file = directory / run / os.fsdecode(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(data)
        os.utime(file, ns=(NOW, NOW))


def faults(verified: Verified) -> dict[str, str]:
    """Return what is said of each file that is not the same."""
    assert not verified.is_proved
    assert len(verified.gaps) == 1
    return {
        file["path"]: f"{file['status']} {file.get('why', file.get('chunks_missing', ''))}".strip()
        for file in verified.files
        if file["status"] != "same"
    }


@pytest.mark.parametrize("is_here", [True, False])
def test_a_run_that_is_on_the_topic(tmp_path: Path, is_here: bool) -> None:
    if is_here:
        write(tmp_path)
        (tmp_path / "run7" / "no file of it").touch()
    others = native(b"run70/x", b"other", NOW) + native(b"run7/half", b"1" * 3000, NOW)[:1]
    verified = verify(tmp_path, [*others, *sealed(b"run7", FILES), *sealed(b"other", FILES)])
    assert (verified.is_proved, verified.gaps) == (True, [])
    assert [file["path"] for file in verified.files] == ["run7/a", "run7/sub/b", "run7/Done"]
    assert verified.summary["absent"] == (0 if is_here else 3)
    assert verify(tmp_path, sealed(b"", FILES), b"").is_proved


def test_what_is_missing_is_named(tmp_path: Path) -> None:
    records = sealed(b"run7", FILES)
    assert faults(verify(tmp_path, records[:-1])) == {"run7/Done": "missing"}
    assert faults(verify(tmp_path, records[1:])) == {"run7/a": "incomplete 1"}
    later = native(b"run7/a", b"later", NOW + 1)
    assert faults(verify(tmp_path, [*records, *later])) == {
        "run7/a": "differs the topic has it, but another version was sent later"
    }
    write(tmp_path)
    (tmp_path / "run7" / "sub" / "b").write_text("edited")
    assert faults(verify(tmp_path, records)) == {
        "run7/sub/b": "differs the directory has another version of it than the manifest says"
    }


def test_the_last_manifest_counts(tmp_path: Path) -> None:
    marker, records = FileVersion(b"run7/Done", 4, NOW), sealed(b"run7", FILES)
    wrong = manifest(b"run7", [listed(b"run7/sub/b", b"33")], marker)
    assert faults(verify(tmp_path, [*records, *wrong])) == {
        "run7/sub/b": "differs the topic has other bytes of it than the manifest says"
    }
    assert verify(tmp_path, [*wrong, *records]).is_proved


def test_a_run_without_a_manifest_is_not_proved(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path)
    records = [record for record in sealed(b"run7", FILES) if "manifest" not in dict(record.headers)]
    assert faults(verify(tmp_path, records)) == {}
    assert "no complete manifest of run run7 is on the topic" in capsys.readouterr().err
