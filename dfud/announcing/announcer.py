"""The announcer process: sends heartbeats and lines of the log to the topics for them.

It is a process of its own because workers are forked from the supervisor, in which librdkafka must have no thread.
It ends with the supervisor, and nothing waits for it: a topic that takes nothing is no concern of the upload.
"""

from __future__ import annotations

import select
import time
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from dfud.kafka.client_errors import settings_fault
from dfud.kafka.delivery_trouble import connection_reason, delivery_reason, is_too_large
from dfud.kafka.logger import silent_logger
from dfud.messages import (
    Announced,
    Announcement,
    AnnouncementDelayed,
    AnnouncementKind,
    FromAnnouncer,
    Stop,
    ToAnnouncer,
)
from dfud.processes.channel import Channel, PeerGoneError
from dfud.processes.dispatch import Dispatcher
from dfud.processes.worker import init_worker

FLUSH_S = 1.5  # at the end
_POLL_S = 0.1  # while something is under way
_IDLE_POLL_S = 30.0
_DELAY_S = 5.0  # after which it is reported that something is still under way, and why

Report = Callable[[FromAnnouncer], None]


class AnnouncerSettings(NamedTuple):
    """How one kind of announcement is sent."""

    topic: str
    key: bytes
    properties: Mapping[str, Any]  # of librdkafka
    complete: Callable[[bytes], bytes] = bytes  # adds to a value what the supervisor must not wait for


def run(
    name: str,
    supervisor_pid: int,
    to_supervisor: Channel[FromAnnouncer, ToAnnouncer],
    settings: Mapping[AnnouncementKind, AnnouncerSettings],
) -> None:
    """Run the announcer process until `Stop`."""
    init_worker(name, supervisor_pid)
    announcer = Announcer(to_supervisor, settings)
    try:
        while announcer.run_once():
            pass
    except PeerGoneError:
        return


class Announcer:
    """Responsible for one Kafka producer for each kind of announcement."""

    def __init__(
        self,
        to_supervisor: Channel[FromAnnouncer, ToAnnouncer],
        settings: Mapping[AnnouncementKind, AnnouncerSettings],
    ) -> None:
        self._supervisor = to_supervisor
        self._senders = {kind: Sender(kind, each, self._report) for kind, each in settings.items()}
        self._poller = select.poll()
        self._poller.register(to_supervisor, select.POLLIN)
        self._is_stopped = False
        self._dispatch: Dispatcher[ToAnnouncer] = Dispatcher(
            ToAnnouncer, {Announcement: self._on_announcement, Stop: self._on_stop}
        )

    def run_once(self) -> bool:
        """Wait for something to do and do it; return False once stopped."""
        is_busy = any(sender.is_busy for sender in self._senders.values())
        if self._poller.poll((_POLL_S if is_busy else _IDLE_POLL_S) * 1000):
            for message in self._supervisor.receive():
                self._dispatch(message)
        for sender in self._senders.values():
            sender.poll()
        return not self._is_stopped

    def _on_announcement(self, announcement: Announcement) -> None:
        self._senders[announcement.kind].send(announcement.number, announcement.value)

    def _on_stop(self, _: Stop) -> None:
        self._is_stopped = True
        deadline = time.monotonic() + FLUSH_S
        for sender in self._senders.values():
            sender.flush(max(0.0, deadline - time.monotonic()))

    def _report(self, message: FromAnnouncer) -> None:
        self._supervisor.send([message])


class Sender:
    """Responsible for sending one kind of announcement, and for saying what became of each."""

    def __init__(self, kind: AnnouncementKind, settings: AnnouncerSettings, report: Report) -> None:
        self._kind = kind
        self._settings = settings
        self._report = report
        self._producer: Producer | None = None
        self._trouble = ""  # of the connection, since the last announcement was sent
        self._sent_at = 0.0  # s, monotonic; of the last one
        self._is_delay_reported = False

    @property
    def is_busy(self) -> bool:
        """Whether anything is under way."""
        return self._producer is not None and len(self._producer) > 0

    def send(self, number: int, value: bytes) -> None:
        """Give an announcement to librdkafka."""
        self._trouble = ""
        self._sent_at = time.monotonic()
        self._is_delay_reported = False

        def on_delivery(error: KafkaError | None, _: Message) -> None:
            if error is None:
                self._report(Announced(self._kind, number, ""))
            else:
                self._on_failure(number, error)

        settings = self._settings
        try:
            if self._producer is None:
                own = {"error_cb": self._on_error, "logger": silent_logger()}
                self._producer = Producer({**settings.properties, **own})
            completed = settings.complete(value)
            self._producer.produce(settings.topic, completed, settings.key, on_delivery=on_delivery)
        except KafkaException as raised:
            if self._producer is None:
                reason = settings_fault(raised.args[0].str(), settings.properties)
                self._report(Announced(self._kind, number, reason))
            else:
                self._on_failure(number, raised.args[0])
        except BufferError:
            self._report(Announced(self._kind, number, "librdkafka's queue is full"))

    def poll(self) -> None:
        """Report what has become of announcements, and what delays them."""
        if self._producer is None:
            return
        self._producer.poll(0.0)
        is_late = self.is_busy and time.monotonic() >= self._sent_at + _DELAY_S
        if is_late and self._trouble and not self._is_delay_reported:
            self._is_delay_reported = True
            self._report(AnnouncementDelayed(self._kind, self._trouble))

    def flush(self, seconds: float) -> None:
        """Wait at most so long until nothing is under way; then report what delays it."""
        if self._producer is not None and self._producer.flush(seconds) and self._trouble:
            self._report(AnnouncementDelayed(self._kind, self._trouble))

    def _on_error(self, error: KafkaError) -> None:
        self._trouble = connection_reason(error, self._settings.properties) or self._trouble

    def _on_failure(self, number: int, error: KafkaError) -> None:
        reason = delivery_reason(error, self._trouble, self._settings.properties)
        self._report(Announced(self._kind, number, reason, is_too_large(error)))
