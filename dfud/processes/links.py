"""The links: which messages each channel carries in which direction, and how they are decoded."""

from __future__ import annotations

from typing import Any, Callable, Generic, TypeVar, Union

import msgspec

from dfud.messages import (
    ChunkerToProducer,
    FromAnnouncer,
    FromChunker,
    FromFetcher,
    FromGuard,
    FromMetricsServer,
    FromProducer,
    FromReader,
    FromReceiptSender,
    FromReleaser,
    FromRunPlacer,
    FromSealer,
    FromWatcher,
    ProducerToChunker,
    ToAnnouncer,
    ToChunker,
    ToFetcher,
    ToGuard,
    ToMetricsServer,
    ToProducer,
    ToReader,
    ToReceiptSender,
    ToReleaser,
    ToRunPlacer,
    ToSealer,
    ToWatcher,
)

Down = TypeVar("Down")
Up = TypeVar("Up")
Received = TypeVar("Received")

Decode = Callable[[Union[bytes, memoryview]], "list[Received]"]


class Link(Generic[Down, Up]):
    """What a channel carries: `down` from the end that its creator keeps, `up` in the other direction.

    A message that is not in the union for its direction raises msgspec.ValidationError where it is received.
    """

    def __init__(self, down: Any, up: Any) -> None:
        """Make the decoders for both unions, which are those in `dfud.messages`."""
        self.decode_down: Decode[Down] = msgspec.msgpack.Decoder(list[down]).decode
        self.decode_up: Decode[Up] = msgspec.msgpack.Decoder(list[up]).decode


# Between a supervisor and its workers
WATCHER: Link[ToWatcher, FromWatcher] = Link(ToWatcher, FromWatcher)
CHUNKER: Link[ToChunker, FromChunker] = Link(ToChunker, FromChunker)
PRODUCER: Link[ToProducer, FromProducer] = Link(ToProducer, FromProducer)
METRICS_SERVER: Link[ToMetricsServer, FromMetricsServer] = Link(ToMetricsServer, FromMetricsServer)
FETCHER: Link[ToFetcher, FromFetcher] = Link(ToFetcher, FromFetcher)
ANNOUNCER: Link[ToAnnouncer, FromAnnouncer] = Link(ToAnnouncer, FromAnnouncer)
RECEIPT_SENDER: Link[ToReceiptSender, FromReceiptSender] = Link(ToReceiptSender, FromReceiptSender)
RUN_PLACER: Link[ToRunPlacer, FromRunPlacer] = Link(ToRunPlacer, FromRunPlacer)
SEALER: Link[ToSealer, FromSealer] = Link(ToSealer, FromSealer)
RELEASER: Link[ToReleaser, FromReleaser] = Link(ToReleaser, FromReleaser)
GUARD: Link[ToGuard, FromGuard] = Link(ToGuard, FromGuard)
READER: Link[ToReader, FromReader] = Link(ToReader, FromReader)

# Between the chunker and the producer of a lane
LANE: Link[ChunkerToProducer, ProducerToChunker] = Link(ChunkerToProducer, ProducerToChunker)
