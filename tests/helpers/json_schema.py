"""Whether a JSON value is as a schema says; a keyword that is not known here is an error."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}
_ANNOTATIONS = {"$schema", "$defs", "title", "description", "default"}


class Schema:
    """A JSON schema of the few keywords that dfud's use."""

    def __init__(self, path: Path) -> None:
        self.content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))

    def violations(self, value: Any) -> list[str]:
        """Return what is wrong with `value`, each with the path to it."""
        return list(self._check(value, self.content, "$"))

    def _check(self, value: Any, schema: dict[str, Any], at: str) -> Iterator[str]:
        for keyword, wanted in schema.items():
            if keyword in _ANNOTATIONS:
                continue
            if keyword == "$ref":
                yield from self._check(value, self.content["$defs"][wanted.rpartition("/")[2]], at)
            elif keyword == "anyOf":
                if all(any(self._check(value, each, at)) for each in wanted):
                    yield f"{at}: {value!r} is none of {wanted}"
            elif keyword == "properties":
                for name in value.keys() - wanted.keys() if isinstance(value, dict) else ():
                    yield f"{at}.{name}: not in the schema"
                for name, each in wanted.items() if isinstance(value, dict) else ():
                    if name in value:
                        yield from self._check(value[name], each, f"{at}.{name}")
            elif keyword == "items":
                for number, item in enumerate(value) if isinstance(value, list) else ():
                    yield from self._check(item, wanted, f"{at}[{number}]")
            elif not _HOLDS[keyword](value, wanted):
                yield f"{at}: {value!r} is not {keyword} {wanted}"


def _has_type(value: Any, wanted: str) -> bool:
    return isinstance(value, _TYPES[wanted]) and (wanted == "boolean" or not isinstance(value, bool))


_HOLDS: dict[str, Any] = {
    "type": _has_type,
    "enum": lambda value, wanted: value in wanted,
    "required": lambda value, wanted: not isinstance(value, dict) or set(wanted) <= value.keys(),
    "minimum": lambda value, wanted: not isinstance(value, (int, float)) or value >= wanted,
    "maximum": lambda value, wanted: not isinstance(value, (int, float)) or value <= wanted,
    "maxLength": lambda value, wanted: not isinstance(value, str) or len(value) <= wanted,
    "maxItems": lambda value, wanted: not isinstance(value, list) or len(value) <= wanted,
}
