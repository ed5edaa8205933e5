"""Write the configuration file with which dfud's commands reach a broker."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

_NONE: Mapping[str, str] = {}


def render(
    bootstrap: str,
    broker: Mapping[str, str] = _NONE,
    producer: Mapping[str, str] = _NONE,
    consumer: Mapping[str, str] = _NONE,
) -> str:
    """Return the text of an INI file with three sections; each mapping adds to the section of its name."""
    sections = {
        "broker": {"bootstrap.servers": bootstrap, **broker},
        "producer": dict(producer),
        "consumer": {"group.id": "dfud", "auto.offset.reset": "earliest", **consumer},
    }
    blocks = []
    for name, settings in sections.items():
        lines = [f"{key} = {value}\n" for key, value in settings.items()]
        blocks.append(f"[{name}]\n{''.join(lines)}")
    return "\n".join(blocks)


def write(
    path: Path,
    bootstrap: str,
    broker: Mapping[str, str] = _NONE,
    producer: Mapping[str, str] = _NONE,
    consumer: Mapping[str, str] = _NONE,
) -> Path:
    """Write the text of `render` to `path` and return `path`. Raises OSError."""
    path.write_text(render(bootstrap, broker, producer, consumer), encoding="utf-8")
    return path
