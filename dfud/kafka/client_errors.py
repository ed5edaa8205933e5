"""librdkafka's errors about the settings, in the user's own names, and without what may be a secret."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from confluent_kafka import KafkaException, Producer

from dfud.kafka.known_settings import is_secret, is_shown, names_of, similar
from dfud.kafka.probe import reason_of

_HIDDEN = "(hidden)"
_MIN_SECRET_CHARS = 3
_NO_SETTING = "dfud"  # librdkafka has none of this name
_NOT_FOR_LIBRDKAFKA = (
    "delivery.report.only.error",  # confluent_kafka wants a bool
    "key.deserializer", "key.serializer", "plugin.library.paths", "value.deserializer", "value.serializer",
)  # fmt: skip
_UNKNOWN = re.compile(r'No such configuration property: "(.*)"', re.DOTALL)
_VALUE = re.compile(r'(?:[Cc]onfiguration property|value for|Expected bool value for) "([\w.]+)"')
_RANGE = re.compile(r"outside allowed range (-?\d+)\.\.(-?\d+)")
_CREATION = re.compile(r"^Failed to create (producer|consumer): ")
_KEY = re.compile(r"ssl\.key\.(location|pem) failed")


def property_fault(name: str, value: str) -> str:
    """Return what is wrong with one property, asking librdkafka without making a client, or ""."""
    if name in _NOT_FOR_LIBRDKAFKA or (name == "auto.offset.reset" and value in ("none", "")):
        return ""
    try:
        Producer({name: value, _NO_SETTING: ""})  # it fails at the first fault, before it starts a thread
    except (KafkaException, ValueError, TypeError, AttributeError) as error:
        text = reason_of(error)
        unknown = _UNKNOWN.search(text)
        return "" if unknown is not None and unknown[1] == _NO_SETTING else _reason(text)
    return ""


def settings_fault(text: str, properties: Mapping[str, Any]) -> str:
    """Return why librdkafka refuses `properties` as a whole; `text` is what it says."""
    unknown, value, key = (pattern.search(text) for pattern in (_UNKNOWN, _VALUE, _KEY))
    if unknown is not None:
        return f"{unknown[1] if is_shown(unknown[1]) else 'a setting'} {_reason(text)}"
    if value is not None:
        name = next((each for each in names_of(value[1]) if each in properties), value[1])
        return f"{name} {_reason(text)}"
    if "No provider for SASL mechanism GSSAPI" in text:
        return "sasl.mechanism = GSSAPI needs a librdkafka with Kerberos, which this one lacks; use another"
    if "mac verify failure" in text:
        return "ssl.keystore.password is not the password of the file ssl.keystore.location"
    if "key values mismatch" in text:
        return "the key (ssl.key.location or ssl.key.pem) is not that of the certificate (ssl.certificate.…)"
    if key is not None:
        has_password = bool(properties.get("ssl.key.password"))
        advice = "ssl.key.password is wrong" if has_password else "it needs an ssl.key.password"
        return f"ssl.key.{key[1]} cannot be used: it is damaged, or {advice}"
    return hide_secrets(_CREATION.sub("", text.strip()), properties)


def hide_secrets(text: str, properties: Mapping[str, Any]) -> str:
    """Return a text of librdkafka's without the values of secret settings, and without parts of them."""
    words: set[str] = set()
    for name, value in properties.items():
        if is_secret(name) and isinstance(value, str):
            words.update([value] if name.endswith("password") else [value, *value.split()])
    for word in sorted(words, key=len, reverse=True):
        if len(word) >= _MIN_SECRET_CHARS:
            text = text.replace(word, _HIDDEN)
    return text


def _reason(text: str) -> str:
    """Return what is wrong with a property, as the end of a sentence that begins with it."""
    unknown = _UNKNOWN.search(text)
    if unknown is not None:
        alike = similar(unknown[1])
        advice = f"{alike} is similar" if alike else "remove it, or indent what continues the value before it"
        return f"is no setting of librdkafka; {advice}"
    limits = _RANGE.search(text)
    if limits is not None:
        return f"is not from {limits[1]} to {limits[2]}; change or remove it"
    return "has a value that librdkafka refuses; change or remove it"
