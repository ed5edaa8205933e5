"""What a producer has to give to librdkafka next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable

from dfud.messages import RunReady
from dfud.uploading.retry_queue import Retry
from dfud.uploading.ring import Ring
from dfud.uploading.upload import Upload
from dfud.uploading.wire import KafkaMessageParts

Outgoing = tuple[Upload, int, KafkaMessageParts]  # one message, with the number of its chunk


class Outbox:
    """Responsible for the order of messages, and for the space that they take in the ring.

    Retries go before new chunks. A chunk is copied out of the ring when it is taken, and the space of a run is
    freed at the next `take` after its last chunk: by then librdkafka has all of it.
    """

    def __init__(self, ring: Ring, on_space_needed: Callable[[], None]) -> None:
        """`on_space_needed` is called when space is freed that the chunker waits for."""
        self._ring = ring
        self._on_space_needed = on_space_needed
        self._held: Outgoing | None = None
        self._retries: deque[Retry] = deque()
        self._entries: deque[tuple[Upload, RunReady] | int] = deque()  # a run, or the end of unused space
        self._n_taken = 0  # chunks of the first entry

    def __bool__(self) -> bool:
        """Return whether there is something to take or to free."""
        return bool(self._entries or self._retries) or self._held is not None

    def add_run(self, upload: Upload, run: RunReady) -> None:
        """Add the chunks of a run."""
        self._entries.append((upload, run))

    def add_unused(self, end: int) -> None:
        """Add space up to ring position `end` that is only to be freed, when its turn comes."""
        self._entries.append(end)

    def add_retries(self, retries: Iterable[Retry]) -> None:
        """Add messages that go before all new chunks."""
        self._retries.extend(retries)

    def take(self) -> Outgoing | None:
        """Return the next message, or None; messages of files that have failed are left out.

        The one before must be with librdkafka, or have been put back.
        """
        if self._held is not None:
            held, self._held = self._held, None
            if not held[0].failure:
                return held
        while self._retries:
            upload, number, value = self._retries.popleft()
            if not upload.failure:
                return upload, number, upload.rebuild_message(number, value)
        while self._entries:
            entry = self._entries[0]
            if isinstance(entry, int):
                end = entry
            else:
                upload, run = entry
                at = self._n_taken
                if at < run.n_chunks and not upload.failure:
                    self._n_taken = at + 1
                    chunk_size = upload.start.chunk_size
                    offset = at * chunk_size
                    data = self._ring.copy(run.start + offset, min(chunk_size, run.length - offset))
                    number = run.first + at
                    return upload, number, upload.message(number, data, run.xxh3_64[16 * at : 16 * at + 16])
                end = run.end
            self._entries.popleft()
            self._n_taken = 0
            if self._ring.free(end):
                self._on_space_needed()
        return None

    def put_back(self, outgoing: Outgoing) -> None:
        """Return the message taken last, which librdkafka does not accept at the moment: it is the next again."""
        self._held = outgoing
