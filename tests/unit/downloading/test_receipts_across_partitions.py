"""Receipts of OpenMSIStream's files, whose chunks lie in several partitions, are owed whatever happens when."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from contextlib import ExitStack, closing
from pathlib import Path

from hypothesis import example, given, settings
from hypothesis import strategies as st

from dfud.downloading.offsets import Position
from dfud.downloading.part_merger import Order, PartMerger
from dfud.messages import Merge
from tests.helpers.downloading import Record, openmsi
from tests.helpers.fetching import Bench, Taken

N_PARTITIONS = 4
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, N_PARTITIONS - 1), st.integers(1, 3)),
        st.tuples(st.sampled_from(["save", "send"]), st.integers(0, 1), st.just(0)),
        st.tuples(st.sampled_from(["kill", "end"]), st.just(0), st.just(0)),
    ),
    max_size=30,
)


class Member(Bench):
    """One of a run's fetchers; its partitions are those of its number."""

    def __init__(self, top: Path, number: int, n_fetchers: int, committed: dict[int, int]) -> None:
        self.offsets = committed
        super().__init__(top, number, n_fetchers, with_receipts=True)

    def commit(self, positions: dict[int, Position]) -> None:
        self.offsets.update({partition: position.offset for partition, position in positions.items()})


class Run:
    """The fetchers of a directory, which are killed together, and the topic that they read."""

    def __init__(self, top: Path, n_fetchers: int, records: Iterable[Record]) -> None:
        self.topic: list[list[Taken]] = [[] for _ in range(N_PARTITIONS)]
        for record in records:
            partition = self.topic[record.partition]
            partition.append(Taken(record, len(partition)))
        self.committed = dict.fromkeys(range(N_PARTITIONS), 0)
        self.positions = dict(self.committed)
        self.members = [Member(top, number, n_fetchers, self.committed) for number in range(n_fetchers)]
        self.merger = PartMerger()

    def close(self) -> None:
        for member in self.members:
            member.close()

    def kill(self) -> None:
        """Begin again with what is on disk and committed."""
        self.close()
        for member in self.members:
            member.open()
        self.positions = dict(self.committed)
        self.merger = PartMerger()
        self.members[0].folder.remove_leftovers()
        for member in self.members:
            member.assembler.place_earlier()

    def end(self) -> list[str]:
        """End a run in order, and begin another; return what is named as incomplete."""
        for number, member in enumerate(self.members):
            self.save(number)
            member.send_receipts()
        incomplete = self.members[0].end_table()
        self.kill()
        return incomplete

    def take(self, partition: int, n_messages: int) -> None:
        """Take so many messages of a partition, and merge what is whole then."""
        number = partition % len(self.members)
        first = self.positions[partition]
        messages = self.topic[partition][first : first + n_messages]
        self.positions[partition] = first + len(messages)
        member = self.members[number]
        member.tree.close_folders()
        member.assembler.take(messages)
        for each, other in enumerate(self.members):
            for report in other.store.reports.take_all():
                self.follow(self.merger.on_report(each, report))

    def follow(self, orders: list[Order]) -> None:
        for number, order in orders:
            store = self.members[number].store
            if isinstance(order, Merge):
                self.members[number].assembler.merge(order.part, order.donors)
            else:
                self.follow(self.merger.on_released(number, store.release(order.part)))

    def save(self, number: int) -> None:
        number %= len(self.members)
        own = {p: Position("id", at) for p, at in self.positions.items() if p % len(self.members) == number}
        assert self.members[number].checkpoints.finish(own)


ALL = [("take", partition, 100) for partition in range(N_PARTITIONS)]


@settings(max_examples=200)
@given(st.integers(1, 2), st.booleans(), st.integers(1, 4), STEPS, st.permutations(range(N_PARTITIONS)))
@example(1, True, 4, ALL, [3, 0, 1, 2])  # the chunk comes first that was the last when the file was put in place
@example(1, True, 4, [*ALL, ("kill", 0, 0), ALL[3], ("save", 0, 0)], [1, 2, 3, 0])  # and is committed
@example(1, True, 4, [*ALL[2:], ("save", 0, 0), *ALL[:2]], [1, 2, 3, 0])  # the size was not known then
@example(
    2, True, 4, [*ALL, ("save", 0, 0), ("save", 1, 0)], [0, 1, 2, 3]
)  # a part of the other fetcher was merged
def test_every_file_in_place_has_its_receipt_in_the_end(
    n_fetchers: int, is_first_large: bool, n_chunks: int, steps: list[tuple[str, int, int]], last: list[int]
) -> None:
    sizes = (n_chunks * 1000, 3500) if is_first_large else (3500, n_chunks * 1000)
    records: list[Record] = []
    for number, size in enumerate(sizes):
        records += openmsi(b"o%d" % number, bytes([number]) * size, 1.5, partitions=N_PARTITIONS)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as stack:
        run = stack.enter_context(closing(Run(Path(folder), n_fetchers, records)))
        for step, number, n_messages in steps:
            if step == "take":
                run.take(number, n_messages)
            elif step == "save":
                run.save(number)
            elif step == "send":
                run.members[number % n_fetchers].send_receipts()
            elif step == "end":
                run.end()
            else:
                run.kill()
        run.kill()
        for partition in last:
            run.take(partition, 100)
        assert run.end() == []
        assert {path: len(data) for path, data in run.members[0].files().items()} == {
            b"o0": sizes[0],
            b"o1": sizes[1],
        }
        sent = {file.path: file.size for member in run.members for file in member.sent}
        assert sent == {b"o0": sizes[0], b"o1": sizes[1]}
        run.end()  # what was merged in the last run may be confirmed once more
        assert run.members[0].left() == []
