"""Reading an INI file that holds passwords: only line numbers and known names are shown, whatever is wrong."""

from __future__ import annotations

import configparser
import io
import os
from collections.abc import Iterator, Mapping

from dfud.errors import UsageError
from dfud.kafka.known_settings import is_shown

_EXTENSION = ".config"
_FOLDER_VARIABLE = "OPENMSISTREAM_CONFIG_FILE_DIR"
_SHOWN_SECTIONS = ("broker", "producer", "consumer", "heartbeat", "log", "DEFAULT")
_PEM_ADVICE = "write NAME = VALUE, or indent it if it continues the line before, as the lines of a PEM do"


def find_config(name: str, environment: Mapping[str, str]) -> str:
    """Return the path of the file that a user calls `name`, where OpenMSIStream would look for it, too.

    Raises UsageError for a name alone, which stands for a file that OpenMSIStream comes with.
    """
    names = [name] if "." in name else [name, name + _EXTENSION]
    folder = environment.get(_FOLDER_VARIABLE)
    places = [*names, *(os.path.join(folder, each) for each in names if folder)]
    found = next((place for place in places if os.path.exists(place) and not os.path.isdir(place)), None)
    if found is None and "." not in name and os.sep not in name:
        raise UsageError(
            f"there is no config file {name} or {name}{_EXTENSION} here; a name alone stands for a file that "
            "OpenMSIStream comes with, and dfud has none: give the path of a file"
        )
    return found or name


class ConfigFile:
    """The sections of a configuration file, and on which line each setting is."""

    def __init__(self, path: str) -> None:
        """Read the file; UsageError if that is not possible."""
        self.path = path
        text = self._read()
        self._parser = configparser.ConfigParser()
        try:
            self._parser.read_string(text)
        except configparser.Error as error:
            raise self._invalid(_explain(error)) from None
        self._lines = dict(_lines(text, self._parser))

    @property
    def sections(self) -> list[str]:
        """The names of the sections, without that of the defaults."""
        return self._parser.sections()

    def items(self, section: str) -> dict[str, str]:
        """Return the settings of a section, or none if there is no such section; UsageError for a single %."""
        settings = {}
        for name in self._parser.options(section) if self._parser.has_section(section) else ():
            try:
                settings[name] = self._parser.get(section, name)
            except configparser.InterpolationError:
                raise UsageError(
                    f"line {self._line(section, name)} of the config file {self.path} has a single % in a value "
                    f"of [{section}]; write %% instead"
                ) from None
        return settings

    def place(self, section: str, name: str) -> str:
        """Return how to name a setting: by its name if that may be shown, else by its line."""
        shown = name if is_shown(name) else f"line {self._line(section, name)}"
        return f"{shown} in [{section}] of {self.path}"

    def _line(self, section: str, name: str) -> int:
        return self._lines.get((section, name)) or self._lines[self._parser.default_section, name]

    def _read(self) -> str:
        try:
            with open(self.path, "rb") as file:
                content = file.read()
        except FileNotFoundError as error:
            raise UsageError(
                f"cannot read the config file {self.path}: {error.strerror}; give the path of one, "
                "which has at least the lines [broker] and bootstrap.servers = HOST:PORT"
            ) from None
        except OSError as error:
            raise UsageError(f"cannot read the config file {self.path}: {error.strerror}") from None
        try:
            text = content.decode("utf-8-sig")  # Windows editors write a byte order mark
        except UnicodeDecodeError as error:
            line = content.count(b"\n", 0, error.start) + 1
            raise self._invalid(f"line {line} is not UTF-8 text") from None
        return io.StringIO(text, newline=None).read()

    def _invalid(self, reason: str) -> UsageError:
        return UsageError(f"the config file {self.path} is not a valid INI file: {reason}")


def _explain(error: configparser.Error) -> str:
    """Return what is wrong, without the text of the file that `error` holds."""
    if isinstance(error, configparser.MissingSectionHeaderError):
        return f"line {error.lineno} comes before any section; begin with [broker]"
    if isinstance(error, configparser.DuplicateSectionError):
        section = f"section {error.section!r}" if error.section in _SHOWN_SECTIONS else "its section"
        return f"line {error.lineno}: {section} already exists; keep one of them"
    if isinstance(error, configparser.DuplicateOptionError):
        name = f"{error.option!r} " if is_shown(error.option) else ""
        section = f"in section {error.section!r} " if error.section in _SHOWN_SECTIONS else ""
        return f"line {error.lineno}: the setting {name}{section}already exists; keep one of them"
    numbers = [number for number, _ in getattr(error, "errors", [])] or [getattr(error, "lineno", None)]
    return f"line {numbers[0]} has no `=`; {_PEM_ADVICE}"


def _lines(text: str, parser: configparser.ConfigParser) -> Iterator[tuple[tuple[str, str], int]]:
    """Yield where each setting is: section and name, and the number of the line."""
    section = ""
    indent: int | None = None  # of the last setting; what is indented deeper continues it
    for number, line in enumerate(text.split("\n"), 1):
        stripped = line.strip()
        depth = len(line) - len(line.lstrip())
        if stripped.startswith(("#", ";")) or (indent is not None and depth > indent):
            continue
        header = parser.SECTCRE.match(stripped)
        setting = parser.OPTCRE.match(stripped)
        if header is not None:
            section, indent = header["header"], None
        elif setting is not None:
            indent = depth
            yield (section, parser.optionxform(setting["option"].rstrip())), number
