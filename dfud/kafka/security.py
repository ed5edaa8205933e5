"""Settings of SASL and TLS that do not fit together: they would expose data, or never connect."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfud.errors import OnFault, refuse_fault
from dfud.kafka.user_settings import UserSettings

_SASL = ("sasl_plaintext", "sasl_ssl")
_TLS = ("ssl", "sasl_ssl")
_MECHANISMS = ("PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER", "GSSAPI")
_WITH_PASSWORD = _MECHANISMS[:3]
_TLS_FILES = ("ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.keystore.location",
              "ssl.crl.location")  # fmt: skip
_OTHER_FILES = ("https.ca.location", "sasl.oauthbearer.assertion.file",
                "sasl.oauthbearer.assertion.private.key.file")  # fmt: skip
_OIDC = ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.secret", "sasl.oauthbearer.token.endpoint.url")
_OTHER_OIDC = ("sasl.oauthbearer.grant.type", "sasl.oauthbearer.metadata.authentication.type")
_NO_PEM = ("ssl.keystore.location", "sasl.oauthbearer.assertion.file")
_PEM = "-----BEGIN "
_MAX_PEM_BYTES = 16 << 20

Fault = tuple[str, str]  # a setting, with or without its value, and what is wrong with it


def check_security(user: UserSettings, path: str, on_fault: OnFault = refuse_fault) -> None:
    """Call `on_fault` for whatever the settings from the file `path` promise and cannot keep."""
    for what, reason in _faults(user):
        on_fault(f"{what} in {path} {reason}")


def _faults(user: UserSettings) -> Iterator[Fault]:
    protocol = user.word("security.protocol") or "plaintext"
    if protocol in _SASL:
        yield from _sasl_faults(user)
    else:
        yield from _unused(
            user, "sasl.", protocol, "nobody would be authenticated", "SASL_SSL (or SASL_PLAINTEXT)"
        )
    if protocol in _TLS:
        yield from _tls_faults(user)
    else:
        encrypted = "SASL_SSL" if protocol in _SASL else "SSL"
        yield from _unused(user, "ssl.", protocol, "data would be sent unencrypted", encrypted)


def _unused(user: UserSettings, prefix: str, protocol: str, consequence: str, advice: str) -> Iterator[Fault]:
    for name in user.properties:
        if name.startswith(prefix):
            yield (
                name,
                f"has no effect with security.protocol = {protocol.upper()}, and {consequence}; set "
                f"security.protocol to {advice}, or remove it",
            )


def _sasl_faults(user: UserSettings) -> Iterator[Fault]:
    mechanism = user.text("sasl.mechanism")
    written = user.written("sasl.mechanism") or "sasl.mechanism"
    mechanisms = ", ".join(_MECHANISMS)
    if not mechanism:
        yield written, f"is not set; set it to one of {mechanisms}"
    elif mechanism not in _MECHANISMS:
        capitals = " to capitals" if mechanism.upper() in _MECHANISMS else ""
        yield written, f"is not one of {mechanisms}; change it{capitals}"
    elif mechanism in _WITH_PASSWORD:
        yield from _missing(user, f"{written} = {mechanism}", "sasl.username", "sasl.password")
    elif mechanism == "OAUTHBEARER":
        yield from _oauth_faults(user, f"{written} = {mechanism}")
    for name in _OTHER_FILES:
        yield from _file_faults(user, name)


def _oauth_faults(user: UserSettings, what: str) -> Iterator[Fault]:
    if user.is_true("enable.sasl.oauthbearer.unsecure.jwt"):
        return
    if user.word("sasl.oauthbearer.method") != "oidc":
        yield what, f"needs sasl.oauthbearer.method = oidc and {', '.join(_OIDC)} to get a token; set them"
    if not any(map(user.text, _OTHER_OIDC)):
        yield from _missing(user, "sasl.oauthbearer.method = oidc", *_OIDC)


def _missing(user: UserSettings, what: str, *names: str) -> Iterator[Fault]:
    absent = [name for name in names if not user.text(name)]
    if absent:
        yield what, f"needs {', '.join(absent)}; set {'it' if len(absent) == 1 else 'them'}"


def _tls_faults(user: UserSettings) -> Iterator[Fault]:
    for name in _TLS_FILES:
        yield from _file_faults(user, name)
    for name in ("ssl.ca", "ssl.certificate", "ssl.key"):
        value = user.text(f"{name}.pem")
        if value and _PEM not in value:
            yield f"{name}.pem", f"is not in the PEM format; for the name of a file, use {name}.location"
        elif value and "\n-----END " not in value:
            yield f"{name}.pem", "has no line that begins with -----END; give all lines of the PEM, each indented"
    has_certificate = user.text("ssl.certificate.location") or user.text("ssl.certificate.pem")
    if user.text("ssl.key.location") and not has_certificate:
        yield "ssl.key.location", "is the key of no certificate; set ssl.certificate.location, too"
    if user.text("ssl.keystore.location"):
        yield from _missing(user, "ssl.keystore.location", "ssl.keystore.password")


def _file_faults(user: UserSettings, name: str) -> Iterator[Fault]:
    """Yield why the file of a setting cannot be used."""
    file = user.text(name)
    if not file or (name == "ssl.ca.location" and file == "probe"):
        return
    try:
        if name == "ssl.ca.location" and os.path.isdir(file):
            os.listdir(file)
            return
        with open(file, "rb") as opened:
            content = opened.read(_MAX_PEM_BYTES)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file name"
        yield name, f"names a file that cannot be read: {os.path.abspath(file)}: {reason}"
        return
    if name not in _NO_PEM and _PEM.encode() not in content:
        yield name, f"names a file that is not in the PEM format: {file}; give one with -----BEGIN lines"
