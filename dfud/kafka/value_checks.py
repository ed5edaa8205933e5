"""Values that were hardly meant: in quotes, with a comment behind them, of several lines, or of a wrong type."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Mapping

from dfud.errors import OnFault, refuse_fault
from dfud.kafka.client_errors import property_fault
from dfud.kafka.known_settings import (
    BOOLEANS,
    CHOICES,
    JAVA_NAMES,
    NUMBERS,
    is_known,
    is_secret,
    names_of,
    plain_name,
)
from dfud.kafka.user_settings import c_number, is_plain_number

_COMMENT = re.compile(r"\s[;#]")
_FRACTION = re.compile(r"[0-9]+\.[0-9]+")
_TRUTHS = ("true", "t", "1", "false", "f", "0")
_CALLBACKS = re.compile(
    r".*_cb|interceptors|logger|opaque|on_delivery|on_commit|default[._]topic[._]conf(ig)?|ssl_\w+"
)
_FREE_TEXTS = ("sasl.", "client.id", "client.rack", "group.id", "topic.blacklist")  # any character may be meant

Place = Callable[[str], str]  # how to name a setting in a message, with its line


def check_values(settings: Mapping[str, str], place: Place, on_fault: OnFault = refuse_fault) -> Iterator[str]:
    """Yield warnings about the settings of one section; call `on_fault` for those that cannot be meant."""
    for name, value in settings.items():
        plain = plain_name(name)
        reason = (
            _name_fault(plain)
            or _layout_fault(plain, value)
            or _type_fault(plain, value)
            or property_fault(plain, value)
        )
        if reason:
            on_fault(f"{place(name)} {reason}")
        elif _is_quoted(value):
            yield f"{place(name)} is in quotes, which are taken for a part of it; remove them unless they are"
    _check_aliases(settings, place, on_fault)


def _name_fault(name: str) -> str:
    if name in JAVA_NAMES:
        return f"is a setting of Java clients, which librdkafka does not have; {JAVA_NAMES[name]}"
    return "cannot be set in a file; remove it" if _CALLBACKS.fullmatch(name) else ""


def _layout_fault(name: str, value: str) -> str:
    if "\n" in value and not name.endswith(".pem"):
        return "goes on in the next line, because that is indented; give each setting one line, without an indent"
    if is_secret(name):
        return ""
    if _is_quoted(value) and not name.startswith("sasl."):
        return "is in quotes, which would be taken for a part of it; remove them"
    is_file = name.endswith(".location") and os.path.exists(value)
    if is_known(name) and _COMMENT.search(value) and not is_file and not name.startswith(_FREE_TEXTS):
        return "has a comment behind its value, which would be taken for a part of it; put it on a line of its own"
    return ""


def _type_fault(name: str, value: str) -> str:
    """Return what is wrong with a value of a known type, which librdkafka would not mind or not explain."""
    lower = value.strip().lower()
    if name in NUMBERS and not (name in names_of("acks") and (lower == "all" or c_number(value) == 0)):
        is_fraction = name in names_of("linger.ms") and _FRACTION.fullmatch(value.strip())
        return (
            ""
            if is_fraction or is_plain_number(value)
            else "is not a plain number; give its digits alone, or remove it"
        )
    if name in BOOLEANS and lower not in _TRUTHS:
        return "is neither true nor false; set it to one of them, or remove it"
    choices = CHOICES.get(name)
    if choices is not None and lower not in choices:
        return f"is not one of {', '.join(filter(None, choices))}; change or remove it"
    return ""


def _is_quoted(value: str) -> bool:
    return len(value) > 1 and value[0] == value[-1] and value[0] in "\"'"


def _check_aliases(settings: Mapping[str, str], place: Place, on_fault: OnFault) -> None:
    """Call `on_fault` if a section sets two names of one setting to different values."""
    seen: dict[tuple[str, ...], str] = {}
    for name, value in settings.items():
        other = seen.setdefault(names_of(name), name)
        if settings[other].strip().lower() != value.strip().lower():
            on_fault(f"{place(name)} is another name of {other}, which has another value; remove one of them")
