"""The configuration file: all that is wrong with it, and what its security settings mean in words."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.text import counted
from dfud.doctor.diagnosis import Diagnosis, fine, stops, warning
from dfud.errors import UsageError
from dfud.kafka.config import ClientConfig, read_config, take_wire_format
from dfud.kafka.known_settings import is_secret
from dfud.kafka.user_settings import UserSettings

_SUBJECT = "configuration"
_WIRES = {"native": "dfud's own messages", "openmsistream": "OpenMSIStream's messages"}
_PUBLIC = ("ssl.ca.pem", "ssl.certificate.pem", "https.ca.pem")
_MIN_CHARS = 4  # of a secret, to tell it from other text


class Configuration(NamedTuple):
    """What a configuration file says."""

    diagnoses: list[Diagnosis]
    config: ClientConfig | None  # None if an upload would refuse it


def examine_configuration(path: str) -> Configuration:
    """Read the file as an upload does, and go on after each fault."""
    faults: list[str] = []
    try:
        config = read_config(path, "producer", on_fault=faults.append)
    except UsageError as error:
        return Configuration([stops(_SUBJECT, str(error))], None)
    try:
        config = take_wire_format(config)
    except UsageError as error:
        faults.append(str(error))
    diagnoses = [stops(_SUBJECT, fault) for fault in dict.fromkeys(faults)]
    diagnoses += [warning(_SUBJECT, text) for text in config.warnings]
    diagnoses += _exposed(config)
    if not faults:
        n_settings = counted(len(config.properties), "setting")
        diagnoses.append(fine(_SUBJECT, f"{path} is understood: {n_settings}, {_WIRES[config.wire]}"))
        diagnoses.append(fine("security", security_in_words(UserSettings(config.properties, "producer"))))
    return Configuration(diagnoses, None if faults else config)


def security_in_words(user: UserSettings) -> str:
    """Return what the settings of TLS and SASL mean.

    >>> security_in_words(UserSettings({}, "producer"))
    'PLAINTEXT: nothing is encrypted, and nobody logs in'
    """
    protocol = (user.word("security.protocol") or "plaintext").upper()
    encryption = _encryption(user) if "SSL" in protocol else "nothing is encrypted"
    return f"{protocol}: {encryption}, and {_login(user) if protocol.startswith('SASL') else 'nobody logs in'}"


def _encryption(user: UserSettings) -> str:
    if user.is_false("enable.ssl.certificate.verification"):
        text = "all is encrypted, a broker may show any certificate"
    else:
        place = user.text("ssl.ca.location")
        issuer = "ssl.ca.pem" if user.text("ssl.ca.pem") else place if place not in ("", "probe") else ""
        text = f"all is encrypted, a broker has to show a certificate of {issuer or 'a CA of this system'}"
        if user.word("ssl.endpoint.identification.algorithm") != "none":
            text += " with its own name in it"
    certificates = ("ssl.certificate.location", "ssl.certificate.pem", "ssl.keystore.location")
    own = next((name for name in certificates if user.text(name)), "")
    return f"{text}, dfud shows that of {own}" if own else text


def _login(user: UserSettings) -> str:
    mechanism = user.text("sasl.mechanism")
    name = user.text("sasl.username")
    return f"{f'user {name}' if name else 'dfud'} logs in by {mechanism}"


def _exposed(config: ClientConfig) -> Iterator[Diagnosis]:
    """Find passwords that stand in a file that everybody can read."""
    with contextlib.suppress(OSError), open(config.path, "rb") as file:
        if not os.fstat(file.fileno()).st_mode & stat.S_IROTH:
            return
        content = file.read()
        written = [
            name
            for name, value in config.properties.items()
            if is_secret(name)
            and name not in _PUBLIC
            and len(value) >= _MIN_CHARS
            and _first_line(value) in content
        ]
        if written:
            yield warning(
                _SUBJECT,
                f"{config.path} has {', '.join(written)} in it and can be read by everybody; chmod 640 it, or "
                "take the value from the environment ($NAME)",
            )


def _first_line(value: str) -> bytes:
    return os.fsencode(value.split("\n", maxsplit=1)[0])
