"""The user's configuration file."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Container, Iterable, Iterator, Mapping
from functools import partial
from typing import Literal, NamedTuple

from dfud.errors import OnFault, UsageError, refuse_fault
from dfud.kafka.addresses import address_fault
from dfud.kafka.config_file import ConfigFile, find_config
from dfud.kafka.known_settings import is_secret, names_of, plain_name
from dfud.kafka.security import check_security
from dfud.kafka.setting_checks import refuse, warnings_of
from dfud.kafka.setting_rules import RULES
from dfud.kafka.user_settings import UserSettings
from dfud.kafka.value_checks import check_values

_VARIABLE = re.compile(r"\$(?:(\w+)|\{(\w+)\})")
_SECTIONS = ("broker", "producer", "consumer")
_ENCRYPTION_SECTION = "kafkacrypto"  # of OpenMSIStream's config files
_NOT_PROPERTIES = ("node_id",)  # OpenMSIStream leaves it out, too
_SERIALIZERS = {"key.serializer": "StringSerializer", "value.serializer": "DataFileChunkSerializer"}

WireName = Literal["native", "openmsistream"]


class ClientConfig(NamedTuple):
    """The configuration of one kind of client."""

    path: str  # of the file, to name it in messages
    properties: dict[str, str]  # of librdkafka, as the user wrote them
    wire: WireName = "native"  # format of the messages to send
    warnings: tuple[str, ...] = ()  # lines about settings that are taken, although they promise less


def read_config(
    path: str,
    client: str,
    environment: Mapping[str, str] = os.environ,
    on_fault: OnFault = refuse_fault,
) -> ClientConfig:
    """Read the sections ``[broker]`` and `client` ("producer" or "consumer"); the latter takes precedence.

    Either may be missing. A value that consists of ``$NAME`` or ``${NAME}`` is taken from `environment`. In a
    longer value that begins with a $, every variable that is set is replaced, as OpenMSIStream does. Other
    sections are ignored, except that a request for encryption is refused. `on_fault` is called for all that would
    lose or expose data or cannot be meant, with a text that names file and fault and shows no secret; if it
    returns, the configuration is not to be used. Raises UsageError if the file cannot be understood at all.
    """
    file = open_config(path, environment, on_fault)
    warnings = list(_section_warnings(file, client))
    properties, of_values = merge_sections(file, ("broker", client), environment, on_fault)
    wire: WireName = "openmsistream" if _SERIALIZERS.keys() <= properties.keys() else "native"
    of_client = check_client(UserSettings(properties, client, wire=wire), file, on_fault)
    warnings.extend((*of_values, *of_client))
    return ClientConfig(file.path, properties, warnings=tuple(dict.fromkeys(warnings)))


def open_config(path: str, environment: Mapping[str, str], on_fault: OnFault = refuse_fault) -> ConfigFile:
    """Read the file that the user calls `path`; call `on_fault` if it asks for encryption. Raises UsageError."""
    file = ConfigFile(find_config(path, environment))
    if _ENCRYPTION_SECTION in file.sections:
        on_fault(
            f"the config file {file.path} has a section [{_ENCRYPTION_SECTION}], but dfud cannot encrypt messages"
            "; remove it to send them unencrypted"
        )
    return file


def variables_of(path: str, environment: Mapping[str, str]) -> list[str]:
    """Return the names of the variables that settings of the file are taken from.

    Only those whose names may be shown: a password may begin with $, too. Raises UsageError if the file cannot be
    understood.
    """
    file = ConfigFile(find_config(path, environment))
    values = (item for section in _SECTIONS for item in file.items(section).items())
    found = ((name, _VARIABLE.fullmatch(value)) for name, value in values)
    shown = (_name(match) for name, match in found if match and _is_shown_variable(name, match))
    return list(dict.fromkeys(shown))


def merge_sections(
    file: ConfigFile,
    sections: Iterable[str],
    environment: Mapping[str, str],
    on_fault: OnFault = refuse_fault,
    left_out: Container[str] = (),
) -> tuple[dict[str, str], list[str]]:
    """Return the settings of several sections, of which later ones take precedence, and warnings about them.

    Settings that are no properties of librdkafka, and those in `left_out`, are missing. `on_fault` is called for
    those that cannot be meant.
    """
    warnings: list[str] = []
    properties: dict[str, str] = {}
    for section in sections:
        place = partial(file.place, section)
        settings: dict[str, str] = {}
        for name, value in file.items(section).items():
            if name not in _NOT_PROPERTIES and name not in left_out:
                try:
                    settings[name] = _expand(value, name, place(name), environment)
                except UsageError as error:
                    on_fault(str(error))
        warnings.extend(check_values(settings, place, on_fault))
        set_here = {names_of(name) for name in settings}
        properties = {name: value for name, value in properties.items() if names_of(name) not in set_here}
        properties.update({plain_name(name): value for name, value in settings.items()})
    return properties, warnings


def check_client(user: UserSettings, file: ConfigFile, on_fault: OnFault = refuse_fault) -> list[str]:
    """Return warnings about all settings of a client; call `on_fault` for those that dfud refuses."""
    _check_servers(user, file, on_fault)
    check_security(user, file.path, on_fault)
    refuse(user, file.path, on_fault)
    return list(warnings_of(user, file.path))


def take_wire_format(config: ClientConfig) -> ClientConfig:
    """Return `config` with its wire format set, and without the two keys that select it.

    Raises UsageError if they select none.
    """
    serializers = {key: config.properties[key] for key in _SERIALIZERS if config.properties.get(key)}
    if serializers and serializers != _SERIALIZERS:
        settings = ", ".join(f"{key} = {value}" if value.isalpha() else key for key, value in serializers.items())
        alone = " alone" if len(serializers) == 1 else ""
        raise UsageError(
            f"{settings}{alone} in {config.path} selects no wire format: set key.serializer = StringSerializer "
            "and value.serializer = DataFileChunkSerializer for OpenMSIStream's messages, or neither for "
            "dfud's own"
        )
    properties = {key: value for key, value in config.properties.items() if key not in _SERIALIZERS}
    return config._replace(properties=properties, wire="openmsistream" if serializers else "native")


def _check_servers(user: UserSettings, file: ConfigFile, on_fault: OnFault) -> None:
    """Call `on_fault` if there is no address, or one that cannot be right."""
    servers = user.text("bootstrap.servers")
    if not servers:
        if "broker" not in file.sections:
            alike = next((each for each in file.sections if _meant_section(each) == "broker"), None)
            advice = "add one" if alike is None else f"rename [{alike}]"
            on_fault(f"the config file {file.path} has no section [broker]; {advice}")
        else:
            on_fault(f"the config file {file.path} does not set bootstrap.servers in [broker]; add it")
        return
    fault = address_fault(servers, user.word("security.protocol") or "plaintext")
    if fault:
        on_fault(f"{user.written('bootstrap.servers')} in {file.path} {fault}")


def _section_warnings(file: ConfigFile, client: str) -> Iterator[str]:
    """Yield warnings about sections that were hardly meant, and about settings of the other kind of client."""
    for section in file.sections:
        meant = _meant_section(section)
        if meant != section and meant not in file.sections:
            yield f"the section [{section}] of {file.path} has no effect; rename it to [{meant}]"
    users = {rule.name: rule.client for rule in RULES}
    for name in file.items(client):
        other = next((users[each] for each in names_of(name) if each in users), client)
        if other not in (client, "both"):
            yield f"{file.place(client, name)} has no effect there; it belongs into [{other}]"


def _meant_section(name: str) -> str:
    """Return the section of ours whose name resembles `name`, or `name` itself."""
    return next(iter(difflib.get_close_matches(name.strip().lower(), _SECTIONS, n=1, cutoff=0.75)), name)


def _expand(value: str, name: str, place: str, environment: Mapping[str, str]) -> str:
    variable = _VARIABLE.fullmatch(value)
    if variable is not None and _name(variable) not in environment:
        # A password may begin with $, too: what looks like one is not shown.
        if _is_shown_variable(name, variable):
            raise UsageError(
                f"{place} is taken from the environment variable {_name(variable)}, which is not set; set it"
            )
        raise UsageError(
            f"{place} begins with $, so it names an environment variable, which is not set; put a value that "
            "begins with $ into a variable"
        )
    if not value.startswith("$"):
        return value
    return _VARIABLE.sub(lambda match: environment.get(_name(match), match[0]), value)


def _is_shown_variable(name: str, match: re.Match[str]) -> bool:
    """Return whether the variable may be named that the setting `name` seems to be taken from."""
    return not is_secret(name) or _name(match).isupper()


def _name(match: re.Match[str]) -> str:
    return match[1] or match[2]
