"""The judges of others: bagit-python on bags, rocrate-validator on crates (``nox -s validators``)."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path
from typing import Any

import bagit
import pytest
import requests
from rocrate_validator import models, services
from rocrate_validator.utils.http import HttpRequester

from dfud.core.version import FileVersion
from dfud.downloading.runs.settings import BAG
from tests.helpers.downloading import native
from tests.helpers.fetching import NOW
from tests.helpers.staging import Staging, listed, manifest

pytestmark = pytest.mark.filterwarnings("ignore")  # of what the judges do

CONTEXT = "https://w3id.org/ro/crate/1.1/context"  # of which this is what we use: no test needs a network
SCHEMA = (
    "CreativeWork Dataset Person PropertyValue about additionalProperty author contentSize datePublished "
    "description encodingFormat hasPart identifier license name value"
)
TERMS = {
    **{name: f"http://schema.org/{name}" for name in SCHEMA.split()},
    "File": "http://schema.org/MediaObject",
    "conformsTo": "http://purl.org/dc/terms/conformsTo",
}
METADATA: dict[str, Any] = {"sample": "A7", "n": 3, "nested": {"a": [1]}, "user": "M. Curie", "": None}
ODD = [
    "50%.txt",
    "new\nline",
    "cr\rx",
    "ünï/ç ö.tif",
    "sub/empty",
    "a:b",
    'quote"<>',
    "x#y?z",
    "~tilde",
    "back\\slash",
]
MORE = [
    " lead",
    "esc\x1bx",
    "rtl\u202ex",
    "nfd\u0065\u0301",
    "data/data",
    "bagit.txt",
    "manifest-sha256.txt",
    "x.tif",
]


def received(top: Path, layout: str, names: list[str], with_ro_crate: bool = True) -> Path:
    """Return the place of a run that has files with these names."""
    files = {b"x/run7/" + name.encode(): name.encode() * (name != "sub/empty") for name in names}
    records = [record for path, data in files.items() for record in native(path, data, NOW)]
    entries = [listed(path, data) for path, data in files.items()]
    records += manifest(b"x/run7", entries, FileVersion(b"x/run7/Done", 4, NOW), METADATA)
    with contextlib.closing(Staging(top, layout, with_ro_crate)) as staging:
        staging.take(*records, *native(b"x/run7/Done", b"done", NOW))
        assert staging.end() == (0, [f"run x/run7 is whole, and in its place: {len(names) + 1} files, 0.0 MB"])
    return top / "x" / "run7"


def faults(crate: Path) -> list[str]:
    """Return what the validator says against a crate."""
    settings = services.ValidationSettings(
        rocrate_uri=str(crate), profile_identifier="ro-crate-1.1", requirement_severity=models.Severity.REQUIRED
    )
    HttpRequester().session.get = answer
    result = services.validate(settings)
    assert result.passed() == (not result.get_issues())
    return [issue.message for issue in result.get_issues()]


def answer(url: str, **_: object) -> requests.Response:
    assert url == CONTEXT
    made = requests.Response()
    made.status_code, made.url, made.headers["Content-Type"] = 200, url, "application/ld+json"
    made._content = json.dumps({"@context": TERMS}).encode()
    return made


def test_a_bag_is_valid_whatever_its_files_are_called(tmp_path: Path) -> None:
    folder = received(tmp_path, BAG, ODD + MORE)
    bag = bagit.Bag(str(folder))
    assert bag.validate()
    assert bag.info["Dfud-Host"] == "host"
    assert json.loads(bag.info["Dfud-Metadata"]) == METADATA
    (folder / "data" / "x.tif").write_text("y.tif")
    with pytest.raises(bagit.BagValidationError):
        bag.validate()


@pytest.mark.parametrize("layout", ["bag", "plain"])
def test_a_crate_is_valid_whatever_its_files_are_called(tmp_path: Path, layout: str) -> None:
    folder = received(tmp_path, layout, ODD + MORE)
    crate = folder / "data" if layout == BAG else folder
    assert faults(crate) == []
    (crate / "x.tif").unlink()
    assert faults(crate) != []


def test_a_run_that_is_a_crate_already_stays_that(tmp_path: Path) -> None:
    folder = received(tmp_path, BAG, ["ro-crate-metadata.json"])
    assert (folder / "data" / "ro-crate-metadata.json").read_text() == "ro-crate-metadata.json"
    assert bagit.Bag(str(folder)).validate()
