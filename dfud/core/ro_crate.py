"""The metadata of an RO-Crate 1.1: what a run is, in JSON-LD, from what its manifest says.

https://www.researchobject.org/ro-crate/specification/1.1/
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from itertools import chain
from mimetypes import MimeTypes
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
    yield b'{"@context":["%s/context",{"sha256":"http://schema.org/sha256"}],"@graph":[\n' % _PROFILE.encode()
    about = {
        "@id": NAME.decode(),
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": {"@id": _PROFILE},
    }
    yield _line(about)
    root, entities = _root(manifest), _properties(manifest)
    root["additionalProperty"] = _links(entities)
    entities += _contextual(manifest, root)
    root["hasPart"] = [{"@id": _id(path)} for path, _, _ in listed]
    types = MimeTypes()
    files_of = (_file(path, version, digest, types) for path, version, digest in listed)
    for entity in chain([root], entities, files_of):
        yield b",\n"
        yield _line(entity)
    yield b"\n]}\n"


def _root(manifest: Manifest) -> dict[str, Any]:
    head, metadata = manifest.head, manifest.metadata or {}
    return {
        "@id": "./",
        "@type": "Dataset",
        "name": _text(metadata.get("name")) or printable(head.run.rpartition(b"/")[2]) or head.topic,
        "description": _text(metadata.get("description"))
        or f"Run {printable(head.run) or '.'} of {escaped(head.host)}, by way of topic {head.topic} of Kafka.",
        "datePublished": head.time,
        "identifier": manifest.id,
    }


def _contextual(manifest: Manifest, root: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what `root` is to say of license and author, and link it there."""
    metadata = manifest.metadata or {}
    stated = _text(metadata.get("license"))
    is_link = stated.startswith(("https://", "http://")) and stated.isprintable() and " " not in stated
    entities = [{"@id": stated if is_link else "#license", "@type": "CreativeWork", "name": stated or _UNLICENSED}]
    root["license"] = {"@id": entities[0]["@id"]}
    author = _text(metadata.get("author")) or _text(metadata.get("user"))
    if author:
        entities.append({"@id": "#author", "@type": "Person", "name": author})
        root["author"] = {"@id": "#author"}
    return entities


def _file(path: bytes, version: FileVersion, digest: str, types: MimeTypes) -> dict[str, Any]:
    name = printable(path.rpartition(b"/")[2])
    return {
        "@id": _id(path),
        "@type": "File",
        "name": name,
        "contentSize": str(version.size),
        "encodingFormat": types.guess_type("/" + name)[0] or "application/octet-stream",
        "sha256": digest,
    }


def _links(entities: Iterable[dict[str, Any]]) -> list[dict[str, str]]:
    return [{"@id": entity["@id"]} for entity in entities]


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
