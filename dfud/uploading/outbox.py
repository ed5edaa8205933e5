"""What a producer has to give to librdkafka next."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator

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

    `take` returns the next message, or None; messages of files that have failed are left out. The one before must
    be with librdkafka, or have been put back. It resumes a generator, which costs half of what a method does that
    has to find its place in the run again for each chunk.
    """

    def __init__(
        self, ring: Ring, on_space_needed: Callable[[], None], is_settled: Callable[[], bool] = lambda: True
    ) -> None:
        """`on_space_needed` is called when space is freed that the chunker waits for.

        `is_settled` says whether all that was taken is acknowledged or has failed.
        """
        self._ring = ring
        self._on_space_needed = on_space_needed
        self._is_settled = is_settled
        self._first: deque[Outgoing | Retry] = deque()  # what goes before all new chunks
        # A run, the end of unused space, or None where everything before has to be settled.
        self._entries: deque[tuple[Upload, RunReady] | int | None] = deque()
        self.take: Callable[[], Outgoing | None] = self._messages().__next__

    def __bool__(self) -> bool:
        """Return whether there is something to take or to free."""
        return bool(self._entries or self._first)

    def add_run(self, upload: Upload, run: RunReady) -> None:
        """Add the chunks of a run."""
        self._entries.append((upload, run))

    def add_unused(self, end: int) -> None:
        """Add space up to ring position `end` that is only to be freed, when its turn comes."""
        self._entries.append(end)

    def add_wait(self) -> None:
        """Have what is added from now on wait until everything before it is settled."""
        self._entries.append(None)

    def add_retries(self, retries: Iterable[Retry]) -> None:
        """Add messages that go before all new chunks."""
        self._first.extend(retries)

    def put_back(self, outgoing: Outgoing) -> None:
        """Return the message taken last, which librdkafka does not accept at the moment: it is the next again."""
        self._first.appendleft(outgoing)

    def _messages(self) -> Iterator[Outgoing | None]:
        """Yield what `take` returns, for ever."""
        first, entries, copy = self._first, self._entries, self._ring.copy
        while True:
            if first:
                yield from self._take_first()
            if not entries:
                yield None
                continue
            entry = entries[0]
            if not isinstance(entry, tuple):
                if entry is None and not self._is_settled():
                    yield None
                else:
                    self._free(entry)
                continue
            upload, run = entry
            digests, message, xxh3_128 = run.xxh3_64, upload.messages.message, upload.xxh3_128
            start, stop, length = run.start, run.start + run.length, upload.start.chunk_size
            number = run.first
            for at in range(0, 16 * run.n_chunks, 16):
                if first:
                    yield from self._take_first()
                if upload.failure:
                    break
                if start + length > stop:
                    length = stop - start
                yield upload, number, message(number, copy(start, length), digests[at : at + 16], xxh3_128)
                number += 1
                start += length
            if first:
                yield from self._take_first()
            self._free(run.end)

    def _free(self, end: int | None) -> None:
        """Finish the first entry, and free the space up to its `end`."""
        self._entries.popleft()
        if end is not None and self._ring.free(end):
            self._on_space_needed()

    def _take_first(self) -> Iterator[Outgoing]:
        """Yield what goes before all new chunks."""
        first = self._first
        while first:
            outgoing = first.popleft()
            upload = outgoing[0]
            if upload.failure:
                continue
            if isinstance(outgoing, Retry):
                number, value = outgoing.number, outgoing.value
                outgoing = upload, number, upload.messages.rebuild(number, value, upload.xxh3_128)
            yield outgoing
