"""The links: each direction carries the messages of its union, and refuses those of any other."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest

from dfud import messages
from dfud.core.version import FileStamp, FileVersion
from dfud.messages import Message
from dfud.processes import links
from dfud.processes.channel import Channel
from dfud.processes.packing import pack

VERSION = FileVersion(b"folder/\xff", 1 << 40, -1)
START = messages.FileStart(1, VERSION, 16384, ((1, 2), (5, 5)), "2026-01-01T12:00:00.000+00:00", b"\x00" * 64)
RELEASED = messages.Released(b"part", "name", None, "", ((1, 10),))
SAMPLES: list[Message] = [
    messages.Notice(20, "größer"),
    messages.Stop(),
    messages.WatchStarted(),
    messages.FolderMovedIn(b"folder"),
    messages.FileFound(VERSION, True, 1, 1),
    messages.Reconsider(b"path"),
    messages.FilesFound([VERSION], [FileStamp(1, 2)], True, False),
    messages.FileLeft(b"path", "is still being written"),
    messages.FilesBefore(b"0" * 32, True),
    messages.SweepDone(1, False),
    messages.LogsDisturbed(),
    messages.DirectoryGone("it was removed"),
    messages.Allowance(1000),
    messages.Sweep(1),
    messages.FilesScanned(2**60, b"0" * 32, b"0" * 8),
    messages.FilesUnrecorded(2**60, (0, 1)),
    messages.LogsReplaced(1, 2),
    messages.FileTask(1, VERSION, 16384, ((1, 1),), "2026", ""),
    messages.FilesTask(1, [VERSION], [FileStamp(1, 2)], 16384, "2026", False),
    messages.FilesRead((1, 2, 3)),
    messages.FileUnchanged(1),
    messages.FileChanged(1, VERSION, True),
    messages.FileUnreadable(1, False, "Input/output error"),
    START,
    messages.RunReady(1, 1, 2, 0, 32768, 32768, b"0" * 32, "", START),
    messages.RunReady(1, 3, 0, 0, 0, 0, b"", "0" * 32, None),
    messages.SpaceAbandoned(100),
    messages.FileDropped(1),
    messages.SpaceFreed(),
    messages.ChunksAcked(1, ((1, 4),)),
    messages.FilesCompleted(((1, "0" * 32), (2, "1" * 32)), True),
    messages.FileUndelivered(1, "too large"),
    messages.BrokerOutage("", True),
    messages.BrokerSilent("no answer"),
    messages.WatchReport("part", 1, 1, 2),
    messages.CanaryFound(),
    messages.CanaryTask(1, 0),
    messages.CanaryRead(1, 0, b"content"),
    messages.CanaryDelivered(1, 0, "no such topic"),
    messages.TopicFindings(((True, "no right to write"),)),
    messages.BrokerSlow("it throttles this client"),
    messages.DeliveryGivenUp("no acknowledgement"),
    messages.RowsRecorded(2),
    messages.ClientStatistics(1, 2, 3, 4, None, (5, 6)),
    messages.Drain(),
    messages.ShardsDisturbed(),
    messages.PartReport(b"part", 100, ()),
    RELEASED,
    messages.Fetched((1, 2, 3)),
    messages.CaughtUp(),
    messages.CommitFailed("why"),
    messages.Gap("id", 1, 2, 3, "deleted", "why"),
    messages.Hidden(1, 2, 3),
    messages.TopicReplaced("id"),
    messages.TopicGone(True),
    messages.ReadRefused("why"),
    messages.UnfinishedElsewhere(1, 2),
    messages.RunDescribed(b'{"format":1}'),
    messages.TopicHarmed("made anew", True, "id"),
    messages.Release(b"part"),
    messages.Merge(b"part", (RELEASED, RELEASED)),
    messages.RunSealed(1, 2),
    messages.ReleaseEnded(1, 2, 0.5, "no broker"),
    messages.RunUnsealed("why", True, True),
    messages.RetentionReport(
        (messages.ReceiverBehind("archive", 3, 4, None, 1),), 2, b"a\xff", 1.5, 1, b"b", "retention.ms", 1
    ),
    messages.FilesToResend(((VERSION, FileStamp(1, 2)),)),
    messages.LookFailed("why"),
    messages.VersionVerdicts(b"records", b"clashes"),
    messages.PartialVersion(b"path", None, 1, 0, "", "", ((1, 1),), True, False, b"place"),
    messages.ReadFailed("why", True),
    messages.Checked(1, 2),
    messages.ReaderDone(1, 2, 3),
    messages.Announcement("log", 1, b"{}"),
    messages.Announced("heartbeat", 1, "no such topic"),
    messages.AnnouncementDelayed("log", "Connection refused"),
    messages.FilesPlaced(1, 2, b"files"),
    messages.ReceiptsSent(1),
    messages.ReceiptsDelayed("Connection refused"),
    messages.ReceiptRefused(b"path", "too large"),
    messages.EarlierFilesSent(2, True),
    messages.RetentionReport(
        (messages.ReceiverBehind("r", 1, 2, None, 3),), 1, b"due", 0.5, 2, b"lost", "retention.ms = 1"
    ),
    messages.FilesToResend(((FileVersion(b"path", 1, 2), FileStamp(3, 4)),)),
    messages.LookFailed("why"),
    messages.FinishRuns(),
    messages.ManifestRead(b"run7", b"{}", (("manifest", b"1"),), bytes(16)),
    messages.RunsFinished(1),
    messages.RunsWaiting(2),
]
DIRECTIONS = [
    pytest.param(links.WATCHER.decode_down, messages.ToWatcher, id="to the watcher"),
    pytest.param(links.WATCHER.decode_up, messages.FromWatcher, id="from the watcher"),
    pytest.param(links.CHUNKER.decode_down, messages.ToChunker, id="to a chunker"),
    pytest.param(links.CHUNKER.decode_up, messages.FromChunker, id="from a chunker"),
    pytest.param(links.PRODUCER.decode_down, messages.ToProducer, id="to a producer"),
    pytest.param(links.PRODUCER.decode_up, messages.FromProducer, id="from a producer"),
    pytest.param(links.LANE.decode_down, messages.ChunkerToProducer, id="from chunker to producer"),
    pytest.param(links.LANE.decode_up, messages.ProducerToChunker, id="from producer to chunker"),
    pytest.param(links.METRICS_SERVER.decode_down, messages.ToMetricsServer, id="to the metrics server"),
    pytest.param(links.METRICS_SERVER.decode_up, messages.FromMetricsServer, id="from the metrics server"),
    pytest.param(links.FETCHER.decode_down, messages.ToFetcher, id="to a fetcher"),
    pytest.param(links.FETCHER.decode_up, messages.FromFetcher, id="from a fetcher"),
    pytest.param(links.ANNOUNCER.decode_down, messages.ToAnnouncer, id="to the announcer"),
    pytest.param(links.ANNOUNCER.decode_up, messages.FromAnnouncer, id="from the announcer"),
    pytest.param(links.RECEIPT_SENDER.decode_down, messages.ToReceiptSender, id="to the sender of receipts"),
    pytest.param(links.RECEIPT_SENDER.decode_up, messages.FromReceiptSender, id="from the sender of receipts"),
    pytest.param(links.RELEASER.decode_down, messages.ToReleaser, id="to the releaser"),
    pytest.param(links.RELEASER.decode_up, messages.FromReleaser, id="from the releaser"),
    pytest.param(links.SEALER.decode_down, messages.ToSealer, id="to the sealer"),
    pytest.param(links.SEALER.decode_up, messages.FromSealer, id="from the sealer"),
    pytest.param(links.GUARD.decode_down, messages.ToGuard, id="to the guard"),
    pytest.param(links.GUARD.decode_up, messages.FromGuard, id="from the guard"),
    pytest.param(links.RUN_PLACER.decode_down, messages.ToRunPlacer, id="to what places runs"),
    pytest.param(links.RUN_PLACER.decode_up, messages.FromRunPlacer, id="from what places runs"),
    pytest.param(links.READER.decode_down, messages.ToReader, id="to a reader"),
    pytest.param(links.READER.decode_up, messages.FromReader, id="from a reader"),
]


def test_there_is_a_sample_of_every_message() -> None:
    assert {type(sample) for sample in SAMPLES} == set(Message.__subclasses__())


@pytest.mark.parametrize(("decode", "union"), DIRECTIONS)
def test_a_direction_carries_its_union_and_nothing_else(decode: Any, union: Any) -> None:
    allowed = set(get_args(union) or (union,))
    for sample in SAMPLES:
        if type(sample) in allowed:
            assert decode(pack([sample, sample])) == [sample, sample]
        else:
            with pytest.raises(msgspec.ValidationError):
                decode(pack([sample]))


def test_a_message_of_another_link_is_refused_where_it_is_received() -> None:
    ours: Channel[Any, Any]
    theirs: Channel[Any, Any]
    ours, theirs = Channel.pair(links.WATCHER)
    ours.send([messages.Drain()])
    with pytest.raises(msgspec.ValidationError):
        theirs.receive()
    theirs.send([messages.RowsRecorded(1)])
    with pytest.raises(msgspec.ValidationError):
        ours.receive()
    ours.close()
    theirs.close()
