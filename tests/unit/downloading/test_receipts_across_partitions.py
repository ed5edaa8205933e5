"""Receipts of files whose chunks lie in several partitions are owed whatever happens when.

Those of OpenMSIStream's files always do, those of dfud's own when partitions are added to the topic meanwhile.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, contextmanager
from itertools import chain
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dfud.downloading import part_store, placed
from dfud.downloading.offsets import Position
from dfud.downloading.part_merger import Order, PartMerger
from dfud.messages import Merge
from tests.helpers.downloading import Record, native, openmsi
from tests.helpers.fetching import NOW, Bench, Taken

N_PARTITIONS = 4
NO_ATTRIBUTE = "nothing.of.the.kind"  # the kernel refuses it, as a file system without any does
Spread = Callable[[Iterable[int]], list[Record]]  # returns the messages of files with these sizes
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("take"), st.integers(0, N_PARTITIONS - 1), st.integers(1, 3)),
        st.tuples(st.sampled_from(["save", "send"]), st.integers(0, 1), st.just(0)),
        st.tuples(st.sampled_from(["kill", "end"]), st.just(0), st.just(0)),
    ),
    max_size=30,
)


def spread_openmsi(sizes: Iterable[int]) -> list[Record]:
    """Return OpenMSIStream's messages of files with these sizes."""
    files = (
        openmsi(b"o%d" % at, bytes([at]) * size, 1.5, partitions=N_PARTITIONS) for at, size in enumerate(sizes)
    )
    return list(chain.from_iterable(files))


def spread_natively(sizes: Iterable[int]) -> list[Record]:
    """Return dfud's own messages of files with these sizes, each in another partition than the one before."""
    files = (native(b"o%d" % at, bytes([at]) * size, NOW) for at, size in enumerate(sizes))
    return [
        record._replace(partition=at % N_PARTITIONS) for records in files for at, record in enumerate(records, 1)
    ]


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


Step = tuple[str, int, int]
ALL: list[Step] = [("take", partition, 100) for partition in range(N_PARTITIONS)]
KILL: Step = ("kill", 0, 0)
SAVE: Step = ("save", 0, 0)


@pytest.mark.parametrize(
    ("n_fetchers", "steps", "last"),
    [
        pytest.param(1, ALL, [3, 0, 1, 2], id="the message that was the last comes first"),
        pytest.param(1, [*ALL, KILL, ALL[3], SAVE], [1, 2, 3, 0], id="it is committed after a kill"),
        pytest.param(1, [*ALL[2:], SAVE, *ALL[:2]], [1, 2, 3, 0], id="the size was not known at a commit"),
        pytest.param(1, [*ALL, KILL, ALL[1], ALL[0], ("end", 0, 0)], [2, 3, 0, 1], id="the next run ends early"),
        pytest.param(2, [*ALL, SAVE, ("save", 1, 0)], [0, 1, 2, 3], id="a part of the other fetcher was merged"),
    ],
)
def test_a_file_in_place_has_its_receipt_although_messages_are_not_read_again(
    n_fetchers: int, steps: list[Step], last: list[int]
) -> None:
    check(spread_openmsi, [4000, 3500], n_fetchers, steps, last)


@pytest.mark.parametrize(
    ("attribute", "n_runs"),
    [
        pytest.param(placed.ATTRIBUTE, 1, id="attributes"),
        pytest.param(NO_ATTRIBUTE, 2, id="no attributes: the next run sends what is missing"),
    ],
)
@given(
    st.sampled_from([spread_openmsi, spread_natively]),
    st.permutations([3500, 2500]),
    st.integers(1, 2),
    STEPS,
    st.permutations(range(N_PARTITIONS)),
)
@settings(max_examples=200)
def test_every_file_in_place_has_its_receipt_in_the_end(
    attribute: str,
    n_runs: int,
    spread: Spread,
    sizes: list[int],
    n_fetchers: int,
    steps: list[Step],
    last: list[int],
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(placed, "ATTRIBUTE", attribute)
        check(spread, sizes, n_fetchers, steps, last, n_runs)


@pytest.mark.parametrize("spread", [spread_openmsi, spread_natively])
@pytest.mark.parametrize("saves", [[], [0, 1, 2, 3], [1], [2]])
def test_repetitions_that_are_given_up_leave_what_owes_their_receipts(
    spread: Spread, saves: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(placed, "ATTRIBUTE", NO_ATTRIBUTE)
    with played(spread, [4000, 3500], 1, ALL, []) as run:
        monkeypatch.setattr(part_store, "MAX_INCOMPLETE", 1)
        for partition in range(N_PARTITIONS):
            run.take(partition, 1)
            run.take(partition, 1)
            if partition in saves:
                run.save(0)
        assert run.end() == []
        run.end()
        assert {file.path for file in run.members[0].sent} == {b"o0", b"o1"}
        run.end()
        assert run.members[0].left() == []


def check(
    spread: Spread, sizes: list[int], n_fetchers: int, steps: list[Step], last: list[int], n_runs: int = 1
) -> None:
    """Play `steps`: after so many runs, all files must be there and have their receipts."""
    expected = {b"o%d" % number: size for number, size in enumerate(sizes)}
    with played(spread, sizes, n_fetchers, steps, last) as run:
        for _ in range(n_runs):
            assert run.end() == []
        assert {path: len(data) for path, data in run.members[0].files().items()} == expected
        assert {file.path: file.size for member in run.members for file in member.sent} == expected
        run.end()  # what was merged in the last run may be confirmed once more
        assert run.members[0].left() == []


@contextmanager
def played(spread: Spread, sizes: list[int], n_fetchers: int, steps: list[Step], last: list[int]) -> Iterator[Run]:
    """Do `steps`, and then, after a kill, read the rest of the partitions in the order of `last`."""
    with tempfile.TemporaryDirectory() as folder, closing(Run(Path(folder), n_fetchers, spread(sizes))) as run:
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
        yield run
