"""From what is on a topic, and what was received of it, to how far each receiver is behind: pure arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from dfud.core.partitioner import murmur2_partition
from dfud.lagging.lag import Basis, ReceiverLag
from dfud.lagging.retention import NEVER, PartitionView, Unread, seconds_left
from dfud.lagging.topic_view import Sample, TopicView
from dfud.lagging.uploaded import UploadedFile

OffsetsAt = Callable[[Mapping[int, float]], Mapping[int, int]]  # of times, by partition


class Places:
    """Says of a file on which partitions its messages are."""

    def __init__(self, view: TopicView) -> None:
        """Take the partitions of a topic, and find out by its messages whether keys choose them as usual."""
        self._numbers = sorted(view.partitions)
        self._is_by_key = self._numbers == list(range(len(self._numbers))) and all(
            murmur2_partition(each.path, len(self._numbers)) == each.partition
            for each in view.samples
            if each.path
        )

    def of(self, file: UploadedFile) -> list[int]:
        """Return the partitions that may have messages of a file."""
        if self._is_by_key and self._numbers:
            return [murmur2_partition(file.version.path, len(self._numbers))]
        return self._numbers

    def is_lost(self, file: UploadedFile, partitions: Mapping[int, PartitionView]) -> bool:
        """Return whether retention has certainly taken a file."""
        return all(partitions[number].has_lost(file.completed_s) for number in self.of(file))


def by_tables(
    receiver: str,
    last_receipt: str,
    lacking: Iterable[UploadedFile],
    view: TopicView,
    places: Places,
    offsets_at: OffsetsAt,
) -> ReceiverLag:
    """Return the lag of a receiver that lacks these files.

    `offsets_at` is asked for offsets only if the size of a partition limits what it keeps.
    """
    n_files = n_bytes = n_lost = 0
    oldest: UploadedFile | None = None
    first: dict[int, float] = {}  # by partition, the time of the first message that may be needed
    for file in lacking:
        n_files += 1
        n_bytes += file.version.size
        if places.is_lost(file, view.partitions):
            n_lost += 1
            continue
        if oldest is None or file.started_s < oldest.started_s:
            oldest = file
        for number in places.of(file):
            first[number] = min(file.started_s, first.get(number, NEVER))
    offsets = offsets_at(first) if view.retention.bytes is not None and first else {}
    left = min(
        (
            seconds_left(view.retention, view.partitions[number], Unread(time_s, offsets.get(number)), view.now_s)
            for number, time_s in first.items()
        ),
        default=NEVER,
    )
    return ReceiverLag(
        receiver,
        Basis.TABLES,
        last_receipt,
        n_files,
        n_bytes,
        b"" if oldest is None else oldest.version.path,
        None if oldest is None else max(0.0, view.now_s - oldest.started_s),
        None if left == NEVER else left,
        n_lost,
    )


def by_offsets(
    receiver: str,
    last_receipt: str,
    committed: Mapping[int, int],
    view: TopicView,
    next_messages: Mapping[int, Sample],
) -> ReceiverLag:
    """Return the lag of a receiver that has everything before these offsets, by partition.

    `next_messages` are those at the offsets. Files and bytes are estimated by the messages of the topic that were
    read as samples.
    """
    n_messages = n_lost = 0
    left = NEVER
    for number, partition in view.partitions.items():
        begin = committed.get(number, 0)  # a partition that was added, or that has no commit yet, is read whole
        n_lost += max(0, partition.start - begin)
        behind = max(0, partition.end - max(begin, partition.start))
        n_messages += behind
        message = next_messages.get(number)
        if behind and message is not None:
            unread = Unread(message.time_s, message.offset)
            left = min(left, seconds_left(view.retention, partition, unread, view.now_s))
    samples = [*view.samples, *next_messages.values()]
    oldest = min(next_messages.values(), key=lambda message: message.time_s, default=None)
    files_each = [1 / each.n_chunks for each in samples if each.n_chunks]
    bytes_each = sum(each.size for each in samples) / len(samples) if samples else 0.0
    n_files = round(n_messages * sum(files_each) / len(files_each)) if files_each else 0
    return ReceiverLag(
        receiver,
        Basis.OFFSETS,
        last_receipt,
        max(n_files, 1) if n_messages else 0,
        round(n_messages * bytes_each),
        b"" if oldest is None else oldest.path,
        None if oldest is None else max(0.0, view.now_s - oldest.time_s),
        None if left == NEVER else left,
        n_lost,
    )
