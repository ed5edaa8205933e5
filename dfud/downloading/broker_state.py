"""Whether a fetcher reaches the broker, and may read from it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError

from dfud.kafka.busy_client import stuck_text
from dfud.kafka.group_errors import explain
from dfud.kafka.read_errors import ReadError, kind_of, too_large
from dfud.messages import BrokerOutage, FromFetcher, ReadRefused

_PATIENCE_S = 15.0  # with a refusal, in a run that is to end
_MIN_REFUSAL_S = 3.0  # after the last one: meanwhile another partition may have been read
_HANDLED_BY_OTHERS = (ReadError.DAMAGED, ReadError.OUT_OF_RANGE, ReadError.NO_TOPIC)


class BrokerState:
    """Responsible for reporting when reading becomes impossible, and when it works again."""

    def __init__(
        self, group: str, report: Callable[[FromFetcher], None], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Begin as if all were well."""
        self._group = group
        self._report = report
        self._clock = clock
        self._outage = ""  # why the broker cannot be reached
        self._refusal = ""  # why the broker does not let us read
        self._refused_since = self._last_refused = 0.0

    @property
    def is_refused(self) -> bool:
        """Whether the broker does not let us read."""
        return bool(self._refusal)

    @property
    def is_hopeless(self) -> bool:
        """Whether the broker has not let us read for some time."""
        return self.is_refused and self._clock() >= self._refused_since + _PATIENCE_S

    def on_error(self, error: KafkaError) -> None:
        """Handle an error of the client that is not about a partition."""
        if too_large(error):
            self._set_refusal(too_large(error))
        elif error.code() == KafkaError._ALL_BROKERS_DOWN or error.fatal():
            self._set_outage(error.str())

    def on_errors(self, errors: Iterable[KafkaError]) -> None:
        """Handle errors of reading, but for what others handle: repairs, and a topic that is gone."""
        for error in errors:
            kind = kind_of(error)
            if kind is ReadError.REFUSED:
                self._set_refusal(explain(error, self._group))
            elif kind not in _HANDLED_BY_OTHERS:
                self._set_outage(error.str())

    def on_stuck(self, offsets: Mapping[int, int]) -> None:
        """Note that the client never finishes to unpack a batch after one of these offsets, by partition."""
        self._set_refusal(stuck_text(offsets))

    def on_read(self) -> None:
        """Note that the broker has answered."""
        if self._clock() >= self._last_refused + _MIN_REFUSAL_S:
            self._set_refusal("")
        self._set_outage("")

    def _set_outage(self, reason: str) -> None:
        if bool(reason) != bool(self._outage) and not self._refusal:
            self._report(BrokerOutage(reason))
            self._outage = reason

    def _set_refusal(self, reason: str) -> None:
        if bool(reason) != bool(self._refusal):
            self._report(ReadRefused(reason))
            self._refused_since = self._clock()
        self._refusal = reason
        self._last_refused = self._clock()
