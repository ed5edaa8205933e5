"""What a user has set, whatever the spelling of names and values: as librdkafka understands it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from dfud.core.native import MESSAGE_OVERHEAD
from dfud.kafka.known_settings import CHOICES, is_secret, names_of, plain_name

_C_NUMBER = re.compile(r"\s*([+-]?)(?:0x([0-9a-f]+)|(0[0-7]*)|([1-9][0-9]*))", re.IGNORECASE)
_PLAIN_NUMBER = re.compile(r"[+-]?(0|[1-9][0-9]{0,11})")
_WORDS = {"true", "false", "t", "f", "all", "plain"}.union(*CHOICES.values())
TRUE_WORDS = ("true", "t", "1")
MESSAGE_HEAD_BYTES = 9 * 1024  # at most, for key and headers: a path is in them, in OpenMSIStream's messages twice


class UserSettings:
    """The settings of one client: where a setting has several names, they mean the same here."""

    def __init__(
        self,
        properties: Mapping[str, str],
        client: str,
        chunk_size: int = 0,
        wire: str = "",
        more_bytes: int = 0,
    ) -> None:
        """Look at `properties` of a "producer" or "consumer"; a `chunk_size` of 0 is one that is not known.

        Each message has `more_bytes` of headers of the user's own.
        """
        self.properties = properties
        self.client = client
        self.chunk_size = chunk_size
        self.wire = wire
        self.more_bytes = more_bytes
        self._written = {names_of(name): name for name in properties}  # the last one is what librdkafka takes

    @property
    def least_message_bytes(self) -> int:
        """The size of a message with a chunk of a file whose path is not long; 0 if that is not known."""
        return self.chunk_size and self.chunk_size + MESSAGE_OVERHEAD + self.more_bytes

    @property
    def message_bytes(self) -> int:
        """The size of the largest message with a chunk, as librdkafka counts it; 0 if that is not known."""
        return self.chunk_size and self.chunk_size + MESSAGE_HEAD_BYTES + self.more_bytes

    def written(self, name: str) -> str | None:
        """Return the name under which the user has set this setting; None if it is not set."""
        return self._written.get(names_of(name))

    def text(self, name: str) -> str:
        """Return the value, or "" if it is not set."""
        return self.properties.get(self.written(name) or "", "").strip()

    def word(self, name: str) -> str:
        """Return the value of a setting that is one of several words, in lower case."""
        return self.text(name).lower()

    def is_true(self, name: str) -> bool:
        """Return whether this is switched on by the user."""
        return self.word(name) in TRUE_WORDS

    def is_false(self, name: str) -> bool:
        """Return whether this is switched off by the user."""
        return self.written(name) is not None and not self.is_true(name)

    def number(self, name: str) -> int | None:
        """Return the number that librdkafka reads, as C does; None if it is not set, or none."""
        return c_number(self.text(name))

    def is_below(self, name: str, least: int) -> bool:
        """Return whether this is set to a number below `least`."""
        number = self.number(name)
        return number is not None and number < least

    def shown(self, name: str) -> str:
        """Return the setting as the user wrote it, with its value only if that is surely no secret."""
        written = self.written(name) or name
        value = self.text(name)
        is_harmless = _PLAIN_NUMBER.fullmatch(value) or c_number(value) == 0 or value.lower() in _WORDS - {""}
        return f"{written} = {value}" if is_harmless and not is_secret(plain_name(written)) else written


def c_number(value: str) -> int | None:
    """Return the number at the beginning of `value`, as C's strtol reads it; None if there is none.

    >>> c_number("+0"), c_number("0x1F"), c_number("-12 apples"), c_number("010"), c_number("all")
    (0, 31, -12, 8, None)
    """
    match = _C_NUMBER.match(value)
    if match is None:
        return None
    sign, hexadecimal, octal, decimal = match.groups()
    size = int(hexadecimal, 16) if hexadecimal else int(octal, 8) if octal else int(decimal)
    return -size if sign == "-" else size


def is_plain_number(value: str) -> bool:
    """Return whether everyone reads the same number from `value`."""
    return _PLAIN_NUMBER.fullmatch(value.strip()) is not None
