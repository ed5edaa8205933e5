"""The one table of librdkafka's settings that change what dfud promises, and what dfud does about each.

``docs/settings.md`` shows it. Where a value is refused or warned of, `applies` decides it, or one of the modules
`value_checks` and `security`. `text` continues a sentence that begins with the setting.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

from dfud.kafka.setting_conditions import (
    Condition,
    has_backlog_of_requests,
    has_many_in_flight,
    is_false,
    is_not_zero,
    is_set,
    is_short,
    is_true,
    is_word,
    may_change_order,
    message_max_is_too_small,
    needs_no_acknowledgement,
    queue_is_too_small,
    spreads_files,
    wants_more_than_one,
)

_SLOW_MS = 1_000
_SHORT_TIMEOUT_MS = 10_000


class Effect(Enum):
    """What dfud does about a value."""

    REFUSES = "refuses"
    WARNS = "warns"
    TAKES = "takes"
    IGNORES = "sets itself"


class Rule(NamedTuple):
    """One row of the table."""

    name: str  # of the setting; its aliases are meant, too
    client: str  # "producer", "consumer" or "both"
    values: str  # that this row is about, for the document
    effect: Effect
    text: str  # may hold {chunk_size}, {least_kbytes} and {least_bytes}
    applies: Condition = lambda _: False


_REFUSES, _WARNS, _TAKES, _IGNORES = Effect.REFUSES, Effect.WARNS, Effect.TAKES, Effect.IGNORES
_LOADS_CODE = "loads code into dfud's processes that may drop or change messages; remove it"
_NO_LOG = "has no effect: dfud drops librdkafka's own log, and reports what matters itself"

RULES = (
    # What is acknowledged, and how often
    Rule("acks", "producer", "0 in any spelling", _REFUSES,
         "means that the broker acknowledges nothing, so nothing could be recorded; set it to all, or remove it",
         needs_no_acknowledgement),
    Rule("acks", "producer", "2 and more", _REFUSES,
         "is a number that brokers do not accept; set it to all, or remove it", wants_more_than_one),
    Rule("acks", "producer", "1", _WARNS,
         "counts a message as delivered when one broker has it: if that one fails before others have copied it, "
         "the message is lost although it is recorded, and some may be sent twice; set it to all, or remove it",
         lambda user: user.number("acks") == 1),
    Rule("transactional.id", "producer", "any", _REFUSES,
         "asks for transactions, which dfud does not use; remove it", is_set("transactional.id")),
    Rule("delivery.report.only.error", "producer", "true", _REFUSES,
         "hides the acknowledgements, so nothing could be recorded; remove it",
         is_true("delivery.report.only.error")),
    Rule("enabled_events", "producer", "not 0", _REFUSES,
         "takes events away from dfud, acknowledgements among them; remove it", is_not_zero("enabled_events")),
    Rule("api.version.request", "both", "false", _REFUSES,
         "makes librdkafka use a protocol without headers, which dfud's messages need; remove it",
         is_false("api.version.request")),
    Rule("api.version.fallback.ms", "both", "not 0", _REFUSES,
         "makes librdkafka use a protocol without headers after a fault of a connection; remove it",
         is_not_zero("api.version.fallback.ms")),
    Rule("enable.idempotence", "producer", "false, and `max.in.flight` is not 1", _WARNS,
         "allows that a retry changes the order of chunks and versions, and sends some twice: an older version of "
         "a file may be the last on the topic; remove it, or set max.in.flight = 1", may_change_order),
    Rule("max.in.flight", "producer", "more than 5", _WARNS,
         "rules out idempotence: a retry may change the order of chunks and versions, and send some twice; "
         "set it to 5 or less", has_many_in_flight),
    Rule("queue.buffering.backpressure.threshold", "producer", "more than 1", _WARNS,
         "rules out idempotence: a retry may change the order of chunks and versions, and send some twice; "
         "set it to 1", has_backlog_of_requests),
    Rule("retries", "producer", "0", _WARNS,
         "rules out idempotence, and leaves each retry to dfud, which may change the order of chunks and versions "
         "and send some twice; remove it", lambda user: user.number("retries") == 0),
    Rule("queuing.strategy", "producer", "lifo", _WARNS,
         "rules out idempotence and sends later messages first: an older version of a file may be the last on the "
         "topic; remove it", is_word("queuing.strategy", "lifo")),
    Rule("partitioner", "producer", "random, with dfud's own messages", _WARNS,
         "spreads the chunks of a file over all partitions: the order of its versions is not kept, and downloads "
         "that share a group cannot put it together; remove it",
         spreads_files),
    Rule("enable.gapless.guarantee", "producer", "true", _TAKES,
         "ends a producer whose message timed out; dfud starts another one, and sends again"),
    # Time
    Rule("message.timeout.ms", "producer", "0", _WARNS,
         "means that no message is ever given up: with --once, or after \"quit\", dfud waits for a missing broker "
         "without end", lambda user: user.number("message.timeout.ms") == 0),
    Rule("message.timeout.ms", "producer", "less than 10,000", _WARNS,
         "is short: where a broker is slow, messages are given up and sent again, and --once may end with status "
         "1; set it to 10000 or more", is_short("message.timeout.ms", _SHORT_TIMEOUT_MS)),
    Rule("socket.timeout.ms", "both", "less than 1,000", _WARNS,
         "is short: a slow broker counts as one that is away; set it to 1000 or more",
         is_short("socket.timeout.ms", _SLOW_MS)),
    Rule("request.timeout.ms", "producer", "less than 1,000", _WARNS,
         "is short: a broker that waits for its replicas counts as failed; set it to 1000 or more",
         is_short("request.timeout.ms", _SLOW_MS)),
    Rule("linger.ms", "producer", "any", _TAKES,
         "is used as it is, where dfud would let the load decide; every file waits that long"),
    Rule("topic.metadata.refresh.interval.ms", "both", "-1", _WARNS,
         "means that a new leader is looked for only after an error; remove it",
         lambda user: user.number("topic.metadata.refresh.interval.ms") == -1),
    Rule("reconnect.backoff.max.ms", "both", "any", _TAKES,
         "decides how soon it is noticed that the broker is back"),
    Rule("socket.max.fails", "both", "0", _TAKES,
         "keeps a connection whose requests time out; it takes longer until a broker answers again"),
    Rule("metadata.recovery.strategy", "both", "none", _TAKES,
         "does not look up `bootstrap.servers` again when all known brokers are gone"),
    Rule("topic.blacklist", "both", "any", _TAKES,
         "hides topics from dfud, which then reports them as missing"),
    Rule("fetch.wait.max.ms", "consumer", "any", _TAKES, "delays what is read, with `fetch.min.bytes`"),
    # Sizes
    Rule("queue.buffering.max.kbytes", "producer", "less than a chunk and 9 KiB", _REFUSES,
         "is too small for a message with a chunk of --chunk_size {chunk_size}, so nothing could be sent; set it "
         "to {least_kbytes} or more, or remove it", queue_is_too_small),
    Rule("queue.buffering.max.kbytes", "producer", "more than that", _TAKES,
         "bounds librdkafka's queue in each producer, where `--queue_max_size` would"),
    Rule("queue.buffering.max.messages", "producer", "any", _TAKES,
         "bounds librdkafka's queue in each producer; a small number makes the upload slow"),
    Rule("message.max.bytes", "producer", "less than a chunk and 1 KiB", _REFUSES,
         "is too small for --chunk_size {chunk_size}; set it to {least_bytes} or more, or remove it",
         message_max_is_too_small),
    Rule("batch.size", "producer", "any", _TAKES,
         "is not adapted to `--chunk_size` and to the topic; 1 sends each message alone"),
    Rule("batch.num.messages", "producer", "any", _TAKES,
         "limits the batches; a small number makes the upload slow"),
    Rule("compression.type", "producer", "any", _TAKES,
         "compresses the batches; digests are of the bytes before compression"),
    Rule("receive.message.max.bytes", "consumer", "any", _TAKES,
         "has to be larger than `fetch.max.bytes` by 512; a batch that is larger cannot be read"),
    Rule("fetch.message.max.bytes", "consumer", "any", _TAKES, "bounds what is fetched at once of a partition"),
    Rule("fetch.max.bytes", "consumer", "any", _TAKES, "bounds what is fetched at once"),
    Rule("queued.max.messages.kbytes", "consumer", "any", _TAKES,
         "bounds what each process fetches ahead, in place of 32 MiB"),
    Rule("queued.min.messages", "consumer", "any", _TAKES, "decides how much is fetched ahead"),
    # Reading
    Rule("group.id", "consumer", "any", _TAKES,
         "names the group in which offsets are committed; each DIR gets all of the topic, because only "
         "`--consumer_group_id` shares it"),
    Rule("group.instance.id", "consumer", "any", _REFUSES,
         "gives all processes of dfud one identity in the group, so that each would put out the others; remove it",
         is_set("group.instance.id")),
    Rule("group.protocol", "consumer", "any", _TAKES,
         "matters with `--consumer_group_id` only; all members of a group need the same"),
    Rule("session.timeout.ms", "consumer", "any", _TAKES,
         "decides how soon others take over from a download of the same group that has died; with "
         "`group.protocol = consumer` the broker decides"),
    Rule("max.poll.interval.ms", "consumer", "any", _TAKES,
         "takes partitions away from a download that waits longer for its disk"),
    Rule("auto.offset.reset", "consumer", "latest, largest, end", _WARNS,
         "begins at the end of a topic that a DIR has not read yet: what was there before is not downloaded; "
         "remove it to get all", is_word("auto.offset.reset", "latest", "largest", "end")),
    Rule("auto.offset.reset", "consumer", "error", _TAKES,
         "is the same as earliest: dfud itself names what is missing"),
    Rule("enable.auto.commit", "consumer", "true", _WARNS,
         "has no effect: dfud commits what is on disk, and nothing else",
         lambda user: user.client == "consumer" and user.is_true("enable.auto.commit")),
    Rule("auto.commit.interval.ms", "consumer", "any", _IGNORES, "commits what is on disk, and when it is"),
    Rule("enable.auto.offset.store", "consumer", "true", _WARNS,
         "has no effect: dfud commits what is on disk, and nothing else", is_true("enable.auto.offset.store")),
    Rule("enable.partition.eof", "consumer", "any", _IGNORES,
         "says where a partition ends"),
    Rule("offset.store.method", "consumer", "none, file", _REFUSES,
         "keeps offsets where other processes do not find them; remove it",
         is_word("offset.store.method", "none", "file")),
    Rule("isolation.level", "consumer", "read_uncommitted", _WARNS,
         "also reads messages of transactions that are open or were aborted; remove it",
         is_word("isolation.level", "read_uncommitted")),
    Rule("check.crcs", "consumer", "any", _TAKES,
         "checks the broker's checksums; digests of chunks and files are verified in any case"),
    Rule("allow.auto.create.topics", "consumer", "true", _WARNS,
         "makes a topic where --topic_name is misspelt, which is then read as empty; remove it",
         is_true("allow.auto.create.topics")),
    Rule("client.rack", "both", "any", _TAKES, "may read from a follower, which has messages a little later"),
    # Secrets and code
    Rule("security.protocol", "both", "none or without SASL, with `sasl.*`; none or without SSL, with `ssl.*`",
         _REFUSES, "says less than the other settings ask for: user and password would not be used, or data would "
         "be sent unencrypted"),
    Rule("sasl.mechanism", "both", "unknown, or without what it needs", _REFUSES,
         "needs `sasl.username` and `sasl.password`, or for OAUTHBEARER `sasl.oauthbearer.method = oidc` and its "
         "settings"),
    Rule("sasl.mechanism", "both", "PLAIN, OAUTHBEARER", _WARNS,
         "sends the password or token unencrypted over security.protocol = SASL_PLAINTEXT; set it to SASL_SSL",
         lambda user: user.word("security.protocol") == "sasl_plaintext"
         and user.word("sasl.mechanism") in ("plain", "oauthbearer")),
    Rule("enable.sasl.oauthbearer.unsecure.jwt", "both", "true", _WARNS,
         "sends tokens that nobody has signed; use it for tests only",
         is_true("enable.sasl.oauthbearer.unsecure.jwt")),
    Rule("enable.ssl.certificate.verification", "both", "false", _WARNS,
         "accepts any certificate: whoever answers at this address can read the data and the password; remove it, "
         "and set ssl.ca.location", is_false("enable.ssl.certificate.verification")),
    Rule("ssl.endpoint.identification.algorithm", "both", "none", _WARNS,
         "does not compare the certificate's name with the address: whoever has any certificate of this CA can "
         "read the data; remove it", is_word("ssl.endpoint.identification.algorithm", "none")),
    Rule("ssl.*.location", "both", "a file that cannot be read", _REFUSES, "is named with the file"),
    Rule("plugin.library.paths", "both", "any", _REFUSES, _LOADS_CODE, is_set("plugin.library.paths")),
    Rule("ssl.engine.location", "both", "any", _REFUSES, _LOADS_CODE, is_set("ssl.engine.location")),
    Rule("sasl.kerberos.kinit.cmd", "both", "any", _TAKES, "is a shell command that librdkafka runs"),
    Rule("internal.termination.signal", "both", "not 0", _REFUSES,
         "sends a signal that may end dfud's processes; remove it", is_not_zero("internal.termination.signal")),
    # Diagnosis
    Rule("debug", "both", "any", _WARNS, _NO_LOG, is_set("debug")),
    Rule("statistics.interval.ms", "producer", "any", _TAKES,
         "is how often metrics of librdkafka are collected, with --metrics_port or --metrics_file; 0 for never"),
    Rule("statistics.interval.ms", "consumer", "not 0", _WARNS,
         "has no effect: a download has no metrics", is_not_zero("statistics.interval.ms")),
    Rule("enable.metrics.push", "both", "any", _TAKES, "lets the broker ask for metrics of this client"),
    Rule("log_level", "both", "any", _TAKES, _NO_LOG),
    Rule("log.queue", "both", "any", _TAKES, _NO_LOG),
    Rule("*_cb, interceptors, logger, opaque and the like", "both", "any", _REFUSES, "cannot be set in a file"),
)  # fmt: skip
