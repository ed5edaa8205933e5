"""``bootstrap.servers``: what is no address is refused at once, where librdkafka would only fail to connect."""

from __future__ import annotations

import re

_ADDRESS = re.compile(
    r"(?:(?P<scheme>[^/]*)://)?(?P<host>\[[0-9a-fA-F:.%\w]+\]|[^\[\]:]*)(?P<colon>:(?P<port>.*))?", re.DOTALL
)
_HOST = re.compile(r"[\w.-]+|\[[^\]]+\]")
_MAX_PORT = 65535


def address_fault(servers: str, protocol: str) -> str:
    """Return what is wrong with a list of addresses, or ""; `protocol` is the ``security.protocol``.

    The addresses themselves are not shown: a URL may hold a password.

    >>> address_fault("kafka-1:9092, [::1]:9092,SSL://kafka-2", "ssl")
    ''
    >>> address_fault("kafka:70000", "ssl")
    'has a port that is not from 1 to 65535'
    """
    addresses = [address.strip() for address in servers.split(",") if address.strip()]
    if not addresses:
        return "has no address; give HOST:PORT"
    return next(filter(None, (_fault(address, protocol) for address in addresses)), "")


def _fault(address: str, protocol: str) -> str:
    if address[0] in "\"'" or address[-1] in "\"'":
        return "is in quotes, which would be taken for a part of it; remove them"
    if re.search(r"[\s;]", address):
        return "has addresses that are not separated by commas; give HOST:PORT,HOST:PORT"
    if address.count(":") > 1 and "[" not in address and "://" not in address:
        return "has an IPv6 address without brackets; write [ADDRESS]:PORT"
    match = _ADDRESS.fullmatch(address)
    if match is None:
        return "has an IPv6 address with unpaired brackets; write [ADDRESS]:PORT"
    scheme = match["scheme"]
    if scheme is not None and scheme.lower() != protocol:
        return "begins with a protocol that is not that of security.protocol; give HOST:PORT alone"
    if not _HOST.fullmatch(match["host"]):
        return "is not a list of HOST:PORT; give host names or IP addresses, separated by commas"
    if match["colon"] and not (match["port"].isdecimal() and 0 < int(match["port"][:6]) <= _MAX_PORT):
        return f"has a port that is not from 1 to {_MAX_PORT}"
    return ""
