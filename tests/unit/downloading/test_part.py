"""What a part learns, and how it starts over."""

from __future__ import annotations

from dfud.core.decode import read_chunk
from dfud.core.ranges import RangeSet
from dfud.downloading.part import Part
from dfud.downloading.part_metadata import PartMetadata, PartName
from tests.helpers.downloading import Record, native, openmsi
from tests.helpers.fetching import DATA, NOW, identity


def new_part(record: Record) -> Part:
    """Return a part that has just received a record."""
    chunk = read_chunk(record.key, record.value, record.headers)
    part = Part(PartName.new(identity(record), 3), chunk)
    part.learn(chunk)
    part.assembly.add(chunk.offset, chunk.data)
    part.expected.follow(chunk, part.assembly.spans)
    return part


def test_what_only_some_chunks_state_is_learned() -> None:
    records = openmsi(b"f", DATA, 1.5)
    part = new_part(records[3])
    assert (part.assembly.size, part.chunk_size) == (3500, 0)
    part.learn(read_chunk(*records[0][:3]))
    assert (part.assembly.size, part.chunk_size) == (3500, 1000)
    part = new_part(native(b"f", DATA, NOW)[0])
    assert part.assembly.digest == ""
    last = read_chunk(*native(b"f", DATA, NOW)[3][:3])
    part.learn(last)
    assert part.assembly.digest == last.digest != ""


def test_a_part_is_what_its_metadata_says() -> None:
    part = new_part(native(b"f", DATA, NOW)[0])
    part.failure = "its digest does not match"
    metadata = part.metadata()
    assert metadata == PartMetadata(
        b"f", 3500, NOW, 1000, "xxh3_128", "", RangeSet([(1, 1000)]), "its digest does not match"
    )
    again = Part.from_metadata(part.name, metadata)
    assert again.metadata() == metadata
    assert (again.has_metadata, part.has_metadata) == (True, False)


def test_a_part_that_starts_over_has_nothing_and_expects_nothing() -> None:
    records = native(b"f", DATA, NOW)
    part = new_part(records[0])
    part.has_metadata = True
    name = part.name
    part.start_over()
    assert part.name != name
    assert (part.name.identity, part.name.fetcher) == (part.identity, 3)
    assert not part.has_metadata
    assert not part.assembly.spans
    assert part.assembly.hashed == 0
    assert part.expected.accept(records[1].value, records[1].headers) is None
