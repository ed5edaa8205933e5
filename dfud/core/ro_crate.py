"""The metadata of an RO-Crate 1.1: what a run is, in JSON-LD, from what its manifest says.

https://www.researchobject.org/ro-crate/specification/1.1/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import Any
from urllib.parse import quote

from dfud.core.manifest import Manifest
from dfud.core.text import escaped, printable
from dfud.core.version import FileVersion

NAME = b"ro-crate-metadata.json"
_PROFILE = "https://w3id.org/ro/crate/1.1"
_PATH_CHARACTERS = "/!$&'()*+,;=:@-._~"  # of an IRI's path, besides letters and digits; see RFC 3987
_UNLICENSED = "No license was stated when the run was measured."


def crate_text(manifest: Manifest, files: Iterable[tuple[bytes, FileVersion, str]]) -> Iterator[bytes]:
    """Yield the text of the metadata file; `files` are paths in the crate, versions, and SHA-256 in hex digits."""
    listed = list(files)
    yield b'{"@context":"%s/context","@graph":[\n' % _PROFILE.encode()
    about = {
        "@id": NAME.decode(),
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _PROFILE},
    }
    yield _line(about)
    yield b",\n"
    yield _line(_root(manifest, [_id(path) for path, _, _ in listed]))
    for entity in _properties(manifest):
        yield b",\n"
        yield _line(entity)
    for path, version, digest in listed:
        yield b",\n"
        yield _line(
            {
                "@id": _id(path),
                "@type": "File",
                "name": printable(path.rpartition(b"/")[2]),
                "contentSize": str(version.size),
                "sha256": digest,
            }
        )
    yield b"\n]}\n"


def _root(manifest: Manifest, ids: list[str]) -> dict[str, Any]:
    head, metadata = manifest.head, manifest.metadata or {}
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": _text(metadata.get("name")) or printable(head.run.rpartition(b"/")[2]) or head.topic,
        "description": _text(metadata.get("description"))
        or f"Run {printable(head.run) or '.'} of {escaped(head.host)}, by way of topic {head.topic} of Kafka.",
        "datePublished": head.time,
        "identifier": manifest.id,
        "license": _text(metadata.get("license")) or _UNLICENSED,
        "hasPart": [{"@id": each} for each in ids],
        "additionalProperty": [{"@id": entity["@id"]} for entity in _properties(manifest)],
    }


def _properties(manifest: Manifest) -> list[dict[str, Any]]:
    """Return what is known of the run as it was said: the fields of its metadata."""
    return [
        {
            "@id": f"#metadata-{number}",
            "@type": "PropertyValue",
            "name": name or "(no name)",
            "value": value if isinstance(value, (str, int, float)) else json.dumps(value, sort_keys=True),
        }
        for number, (name, value) in enumerate(sorted((manifest.metadata or {}).items()), 1)
    ]


def _text(value: object) -> str:
    return value if isinstance(value, str) else ""


def _id(path: bytes) -> str:
    """Return the relative IRI of a file."""
    text = quote(path, safe=_PATH_CHARACTERS)
    return text if ":" not in text.split("/")[0] else "./" + text  # or else that would be a scheme


def _line(entity: dict[str, Any]) -> bytes:
    return json.dumps(entity, sort_keys=True).encode()
