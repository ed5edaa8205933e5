"""librdkafka's settings by the kind of their values, their aliases, and the names that Java clients use instead.

A name that is not here is passed on: the installed librdkafka knows best. These lists allow a clear line,
with the user's own name for a setting, where librdkafka takes what was hardly meant ("0x10", "5 minutes").
"""

from __future__ import annotations

import difflib
import re

NUMBERS = frozenset(
    """
    acks api.version.fallback.ms api.version.request.timeout.ms auto.commit.interval.ms batch.num.messages
    batch.size broker.address.ttl compression.level connections.max.idle.ms consume.callback.max.messages
    coordinator.query.interval.ms delivery.timeout.ms enabled_events fetch.error.backoff.ms fetch.max.bytes
    fetch.message.max.bytes fetch.min.bytes fetch.queue.backoff.ms fetch.wait.max.ms heartbeat.interval.ms
    internal.termination.signal linger.ms log_level max.in.flight max.in.flight.requests.per.connection
    max.partition.fetch.bytes max.poll.interval.ms max.poll.records message.copy.max.bytes message.max.bytes
    message.send.max.retries message.timeout.ms metadata.max.age.ms metadata.recovery.rebootstrap.trigger.ms
    offset.store.sync.interval.ms queue.buffering.backpressure.threshold queue.buffering.max.kbytes
    queue.buffering.max.messages queue.buffering.max.ms queued.max.messages.kbytes queued.min.messages
    receive.message.max.bytes reconnect.backoff.jitter.ms reconnect.backoff.max.ms reconnect.backoff.ms
    request.required.acks request.timeout.ms retries retry.backoff.max.ms retry.backoff.ms
    sasl.kerberos.min.time.before.relogin sasl.oauthbearer.assertion.claim.exp.seconds
    sasl.oauthbearer.assertion.claim.nbf.seconds session.timeout.ms socket.blocking.max.ms
    socket.connection.setup.timeout.ms socket.max.fails socket.receive.buffer.bytes socket.send.buffer.bytes
    socket.timeout.ms statistics.interval.ms sticky.partitioning.linger.ms topic.metadata.propagation.max.ms
    topic.metadata.refresh.fast.cnt topic.metadata.refresh.fast.interval.ms topic.metadata.refresh.interval.ms
    transaction.timeout.ms
    """.split()  # noqa: SIM905 (as a list of strings it is three times as long)
)
BOOLEANS = frozenset(
    """
    allow.auto.create.topics api.version.request auto.commit.enable check.crcs delivery.report.only.error
    enable.auto.commit enable.auto.offset.store enable.gapless.guarantee enable.idempotence enable.metrics.push
    enable.partition.eof enable.random.seed enable.sasl.oauthbearer.unsecure.jwt
    enable.ssl.certificate.verification log.connection.close log.queue log.thread.name produce.offset.report
    sasl.oauthbearer.assertion.claim.jti.include socket.keepalive.enable socket.nagle.disable
    topic.metadata.refresh.sparse
    """.split()  # noqa: SIM905 (as a list of strings it is three times as long)
)
_COMPRESSION = ("none", "gzip", "snappy", "lz4", "zstd")
CHOICES = {
    "auto.offset.reset": ("smallest", "earliest", "beginning", "largest", "latest", "end", "error", "none", ""),
    "broker.address.family": ("any", "v4", "v6"),
    "compression.codec": _COMPRESSION,
    "compression.type": _COMPRESSION,
    "group.protocol": ("classic", "consumer"),
    "isolation.level": ("read_uncommitted", "read_committed"),
    "offset.store.method": ("none", "file", "broker"),
    "partitioner": (
        "random", "consistent", "consistent_random", "murmur2", "murmur2_random", "fnv1a", "fnv1a_random",
    ),
    "queuing.strategy": ("fifo", "lifo"),
    "sasl.oauthbearer.method": ("default", "oidc"),
    "security.protocol": ("plaintext", "ssl", "sasl_plaintext", "sasl_ssl"),
    "ssl.endpoint.identification.algorithm": ("none", "https"),
}  # fmt: skip
_TEXTS = frozenset(
    """
    bootstrap.servers broker.version.fallback client.dns.lookup client.id client.rack debug group.id
    group.instance.id group.protocol.type group.remote.assignor https.ca.location https.ca.pem interceptors
    key.deserializer key.serializer logger metadata.broker.list metadata.recovery.strategy node_id
    offset.store.path opaque
    partition.assignment.strategy plugin.library.paths sasl.kerberos.keytab sasl.kerberos.kinit.cmd
    sasl.kerberos.principal sasl.kerberos.service.name sasl.mechanism sasl.mechanisms
    sasl.oauthbearer.assertion.file sasl.oauthbearer.assertion.private.key.file
    sasl.oauthbearer.assertion.private.key.passphrase sasl.oauthbearer.assertion.private.key.pem
    sasl.oauthbearer.client.id sasl.oauthbearer.client.secret sasl.oauthbearer.config
    sasl.oauthbearer.extensions sasl.oauthbearer.grant.type sasl.oauthbearer.metadata.authentication.type
    sasl.oauthbearer.scope sasl.oauthbearer.token.endpoint.url sasl.password sasl.username ssl.ca.location
    ssl.ca.pem ssl.certificate.location ssl.certificate.pem ssl.cipher.suites ssl.crl.location ssl.curves.list
    ssl.engine.id ssl.engine.location ssl.key.location ssl.key.password ssl.key.pem ssl.keystore.location
    ssl.keystore.password ssl.providers ssl.sigalgs.list topic.blacklist transactional.id value.deserializer
    value.serializer
    """.split()  # noqa: SIM905 (as a list of strings it is three times as long)
)
# The names of one setting; librdkafka takes whichever is set last.
ALIASES = (
    ("acks", "request.required.acks"),
    ("auto.commit.enable", "enable.auto.commit"),
    ("bootstrap.servers", "metadata.broker.list"),
    ("compression.type", "compression.codec"),
    ("fetch.message.max.bytes", "max.partition.fetch.bytes"),
    ("linger.ms", "queue.buffering.max.ms"),
    ("max.in.flight", "max.in.flight.requests.per.connection"),
    ("message.timeout.ms", "delivery.timeout.ms"),
    ("retries", "message.send.max.retries"),
    ("sasl.mechanism", "sasl.mechanisms"),
    ("sasl.oauthbearer.client.id", "sasl.oauthbearer.client.credentials.client.id"),
    ("sasl.oauthbearer.client.secret", "sasl.oauthbearer.client.credentials.client.secret"),
)
_NONE = "it has no counterpart, so remove it"
JAVA_NAMES = {
    "buffer.memory": "use queue.buffering.max.kbytes, or --queue_max_size",
    "client.dns.lookups": "use client.dns.lookup",
    "compression.gzip.level": "use compression.level",
    "compression.lz4.level": "use compression.level",
    "compression.zstd.level": "use compression.level",
    "default.api.timeout.ms": "use socket.timeout.ms",
    "fetch.max.wait.ms": "use fetch.wait.max.ms",
    "interceptor.classes": _NONE,
    "max.block.ms": _NONE,
    "max.request.size": "use message.max.bytes",
    "metric.reporters": _NONE,
    "partitioner.class": "use partitioner",
    "partitioner.ignore.keys": _NONE,
    "receive.buffer.bytes": "use socket.receive.buffer.bytes",
    "sasl.client.callback.handler.class": "use sasl.oauthbearer.method",
    "sasl.jaas.config": "use sasl.username and sasl.password",
    "sasl.login.callback.handler.class": "use sasl.oauthbearer.method",
    "sasl.login.class": _NONE,
    "security.providers": _NONE,
    "send.buffer.bytes": "use socket.send.buffer.bytes",
    "socket.connection.setup.timeout.max.ms": "use socket.connection.setup.timeout.ms",
    "ssl.enabled.protocols": _NONE,
    "ssl.key.store.location": "use ssl.keystore.location",
    "ssl.keystore.certificate.chain": "use ssl.certificate.pem",
    "ssl.keystore.key": "use ssl.key.pem",
    "ssl.keystore.type": "a keystore is PKCS#12, so remove it",
    "ssl.protocol": _NONE,
    "ssl.truststore.certificates": "use ssl.ca.pem",
    "ssl.truststore.location": "use ssl.ca.location, with a file in the PEM format",
    "ssl.truststore.password": "ssl.ca.location needs no password, so remove it",
    "ssl.truststore.type": "ssl.ca.location is in the PEM format, so remove it",
}
_SECRET = re.compile(
    r"password|secret|passphrase|\.pem$|\.key$|jaas|token$|kinit|oauthbearer\.(config|extensions)"
)
_LIKE_A_NAME = re.compile(r"[a-z]{2,20}([._][a-z]{2,20}){1,6}")
_ALL = NUMBERS | BOOLEANS | CHOICES.keys() | _TEXTS | JAVA_NAMES.keys() | {n for names in ALIASES for n in names}


def plain_name(name: str) -> str:
    """Return a setting's name without the prefix with which librdkafka takes those of a topic.

    >>> plain_name("topic.acks"), plain_name("topic.blacklist")
    ('acks', 'topic.blacklist')
    """
    stripped = name.removeprefix("topic.")
    return stripped if name not in _ALL and stripped in _ALL else name


def names_of(name: str) -> tuple[str, ...]:
    """Return all names of the setting that has this one."""
    plain = plain_name(name)
    return next((names for names in ALIASES if plain in names), (plain,))


def is_secret(name: str) -> bool:
    """Return whether the value of this setting may be a secret, or a part of one."""
    return _SECRET.search(plain_name(name)) is not None


def is_known(name: str) -> bool:
    """Return whether this is a name of a setting."""
    return plain_name(name) in _ALL


def is_shown(name: str) -> bool:
    """Return whether this is, or looks like, the name of a setting, and not like a piece of a secret.

    >>> is_shown("linger.ms"), is_shown("no.such.setting"), is_shown("mzqa4k="), is_shown("hunter2")
    (True, True, False, False)
    """
    return is_known(name) or _LIKE_A_NAME.fullmatch(name) is not None


def similar(name: str) -> str | None:
    """Return the known name that this one resembles most, if there is any."""
    found = difflib.get_close_matches(name, _ALL - {name}, n=1, cutoff=0.75)
    return found[0] if found else None
