"""The text of the unit and of an instance's environment file."""

from __future__ import annotations

from pathlib import Path

from dfud.service.instance import Instance
from dfud.service.program import Program
from dfud.service.quoting import assignment, split_words, unit_word

UNIT = "dfud@.service"

_UNITS = Path(__file__).parent / "units"
_SANDBOXES = {"system": "sandbox.system", "user": "sandbox.user"}
_TARGETS = {"system": "multi-user.target", "user": "default.target"}


def unit_text(scope: str, program: Program) -> str:
    """Return the unit for all instances, of the "system" or of a "user"."""
    text = (_UNITS / UNIT).read_text(encoding="utf-8")
    for name, value in (
        ("@sandbox@\n", (_UNITS / _SANDBOXES[scope]).read_text(encoding="utf-8")),
        ("@target@", _TARGETS[scope]),
        ("@dfud@", " ".join(map(unit_word, program.words))),
    ):
        text = text.replace(name, value)
    return text


def environment_text(instance: Instance) -> str:
    """Return the environment file of an instance; UsageError for names that it cannot have."""
    mount = [assignment("MOUNT", instance.mount)] if instance.mount else []
    lines = (
        f"# Changes count from the next start: systemctl restart dfud@{instance.name}",
        "# What the configuration file takes from the environment ($KAFKA_PASSWORD) is set for all instances",
        '# in the file "environment" beside this one.',
        assignment("DIR", instance.directory),
        assignment("CONFIG", instance.config),
        assignment("TOPIC", instance.topic),
        assignment("OPTIONS", split_words(instance.options)),
        *mount,
    )
    return "\n".join(lines) + "\n"
