"""The status file: its schema, and what is read of one that others have written."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from dfud.logs import upload_status
from dfud.logs.layout import LogsFolder
from dfud.logs.upload_status import (
    MAX_STATUS_BYTES,
    BrokerStatus,
    Cause,
    Failures,
    encode_status,
    read_status,
)
from tests.helpers.json_schema import Schema
from tests.helpers.statuses import AT
from tests.helpers.statuses import upload_status as sample

SCHEMA = Path(upload_status.__file__).with_suffix(".schema.json")
STATUS = sample(
    broker=BrokerStatus("unreachable", "no route", AT),
    failures=Failures(failed=1, causes=(Cause("too large", True, 1, "a"),)),
)


@pytest.fixture
def folder(tmp_path: Path) -> LogsFolder:
    folder = LogsFolder(str(tmp_path), "T")
    os.mkdir(folder.path)
    return folder


def test_the_schema_in_the_package_is_that_of_the_structs() -> None:
    package, structs = (
        json.loads(SCHEMA.read_text(encoding="utf-8")),
        json.loads(json.dumps(upload_status.schema())),
    )
    assert sorted_unions(package) == sorted_unions(structs)


def sorted_unions(schema: Any) -> Any:
    """Return `schema` with the members of its unions in one order, which depends on the version of msgspec."""
    if isinstance(schema, list):
        return [sorted_unions(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: sorted(value, key=str) if name == "anyOf" else sorted_unions(value) for name, value in schema.items()
    }


def test_a_status_is_as_the_schema_says_and_is_read_as_it_was_written(folder: LogsFolder) -> None:
    content = encode_status(STATUS)
    assert Schema(SCHEMA).violations(json.loads(content)) == []
    folder.replace(folder.status, [content])
    assert read_status(folder) == STATUS


def test_what_is_not_as_the_schema_says_is_refused(folder: LogsFolder) -> None:
    changed = json.loads(encode_status(STATUS))
    changed["state"], changed["pid"], changed["backlog"]["bytes"] = "asleep", -1, "many"
    changed["acknowledged"]["bytes"] = 1 << 63
    assert len(Schema(SCHEMA).violations(changed)) == 4
    for content in (json.dumps(changed).encode(), b"", b"[" * 10_000, b" " * MAX_STATUS_BYTES + b"{}", b"\xff"):
        folder.replace(folder.status, [content])
        with pytest.raises(ValueError):  # noqa: PT011 - whatever its text
            read_status(folder)


def test_no_file_is_no_status_and_a_link_is_not_followed(folder: LogsFolder, tmp_path: Path) -> None:
    assert read_status(folder) is None
    (tmp_path / "secret").write_bytes(encode_status(STATUS))
    os.symlink("../secret", folder.status)
    with pytest.raises(OSError, match="link"):
        read_status(folder)


def test_fields_of_a_later_version_are_ignored(folder: LogsFolder) -> None:
    later = {**json.loads(encode_status(STATUS)), "more": 1}
    folder.replace(folder.status, [json.dumps(later).encode()])
    assert read_status(folder) == STATUS
