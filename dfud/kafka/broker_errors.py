"""What librdkafka's errors say about a connection: which address, who gave it, and what is wrong with it."""

from __future__ import annotations

import errno
import os
import re
from collections.abc import Iterable
from typing import NamedTuple

from confluent_kafka import KafkaError

# "sasl_ssl://host:9092/1: Connect to ipv4#10.0.0.1:9092 failed: Connection refused (after 3ms in state CONNECT)"
_ERROR = re.compile(
    r"(?:\w+://)?(?P<address>\S+:\d+)/(?P<node>bootstrap|\d+): (?P<reason>.*?)(?: \(after .*)?", re.DOTALL
)
_UNRESOLVED = re.compile(r"Failed to resolve '(?P<address>.*)': (?P<reason>.*)")
_UNCONNECTED = re.compile(r"Connect to \S+ failed: (?P<reason>.*)")
_ADVERTISED_ADVICE = "set advertised.listeners on the broker to an address that can be reached from here"
_ADDRESS_ADVICE = "check bootstrap.servers, and that the broker is running"

_NO_DESCRIPTORS = os.strerror(errno.EMFILE)
_DESCRIPTORS_ADVICE = "let dfud open more files (ulimit -n, or LimitNOFILE of its service)"

_ADVICE = {
    KafkaError._AUTHENTICATION: "check sasl.username, sasl.password and sasl.mechanism",
    KafkaError._SSL: "check ssl.ca.location and security.protocol",
    KafkaError.TOPIC_AUTHORIZATION_FAILED: "grant the user of this file access to the topic",
    KafkaError.GROUP_AUTHORIZATION_FAILED: "grant the user of this file the operation Read on the group",
}
_NO_SASL = "not valid in current SASL state"  # the answer of a listener that takes no SASL

_UNANSWERED = frozenset(
    {
        KafkaError._TIMED_OUT,
        KafkaError._TIMED_OUT_QUEUE,
        KafkaError._TRANSPORT,
        KafkaError._RESOLVE,
        KafkaError._ALL_BROKERS_DOWN,
        KafkaError._DESTROY_BROKER,  # the broker that was asked left the cluster, or has not quite joined it
        KafkaError.REQUEST_TIMED_OUT,  # says a broker that got no answer from another one
        KafkaError.NOT_CONTROLLER,  # nor from the controller, as another one is being elected
        KafkaError.NETWORK_EXCEPTION,
    }
)


class ConnectionTrouble(NamedTuple):
    """What keeps a client from a broker."""

    address: str  # "host:port"; "" if no one address is the cause
    is_advertised: bool  # the address was given by a broker, not by the user
    reason: str
    advice: str
    is_reachable: bool = False  # something accepts connections there
    is_ours: bool = False  # this process lacks something, and waiting does not help

    def describe(self) -> str:
        """Return the reason and the advice, for the user."""
        return f"{self.reason}; {self.advice}"


def trouble_of(error: KafkaError) -> ConnectionTrouble:
    """Return what an error that a client has reported means."""
    text = error.str()
    match = _ERROR.fullmatch(text)
    if match is None:
        return ConnectionTrouble("", False, text, _ADVICE.get(error.code(), _ADDRESS_ADVICE))
    address, is_advertised, reason = match["address"], match["node"] != "bootstrap", match["reason"]
    advice = _ADVICE.get(error.code(), _ADDRESS_ADVICE)
    if _NO_SASL in reason:
        advice = "it takes no SASL: check security.protocol and the port in bootstrap.servers"
    if _NO_DESCRIPTORS in reason:
        return ConnectionTrouble("", False, reason, _DESCRIPTORS_ADVICE, is_ours=True)
    unresolved, unconnected = _UNRESOLVED.fullmatch(reason), _UNCONNECTED.fullmatch(reason)
    is_reachable = not unresolved and not unconnected
    if unresolved:
        reason = f"{address.rpartition(':')[0]} cannot be resolved ({unresolved['reason']})"
    elif unconnected:
        reason = f"{address}: {unconnected['reason']}"
    else:
        reason = f"{address}: {reason}"
    if is_advertised and not is_reachable:
        reason = f"a broker sends its clients to {address}, its advertised.listeners; {reason}"
        advice = _ADVERTISED_ADVICE
    return ConnectionTrouble(address, is_advertised, reason, advice, is_reachable)


def is_unanswered(error: KafkaError) -> bool:
    """Return whether a question that failed with `error` got no answer, and so may get one the next time."""
    return error.code() in _UNANSWERED


def latest_trouble(errors: Iterable[KafkaError]) -> ConnectionTrouble | None:
    """Return what the latest of `errors` means that names a cause; None if none does.

    That all brokers are down is only the consequence of another error.
    """
    latest = None
    for error in errors:
        if error.code() != KafkaError._ALL_BROKERS_DOWN:
            latest = error
    return None if latest is None else trouble_of(latest)
