"""The receipts that the user wants of a download. What sends them is imported only then."""

from __future__ import annotations

import contextlib
import logging
import socket
from functools import partial
from typing import NamedTuple

from dfud.core.text import escaped
from dfud.downloading.receipt_outlet import ReceiptOutlet, SenderProcess
from dfud.downloading.receipt_record import ReceiptRecord
from dfud.downloading.run_options import files_in_place
from dfud.downloading.settings import FetchSettings
from dfud.files.open_folder import OpenFolder
from dfud.kafka.receipt_config import ReceiptConfig
from dfud.processes import links
from dfud.processes.broker_wait import Patience, ask_broker
from dfud.processes.signals import SignalPipe
from dfud.processes.workers import WorkerPool
from dfud.receipts.settings import ReceiptSettings


class ReceiptOptions(NamedTuple):
    """What the user asked for."""

    topic: str  # for receipts
    receiver: str | None  # None for a name made of host and directory
    with_sha256: bool
    config: ReceiptConfig


def ask_receipts(
    options: ReceiptOptions, directory: str, source: str, signals: SignalPipe, patience: Patience
) -> tuple[ReceiptSettings, tuple[str, ...]]:
    """Return which receipts of topic `source` are to be sent, and warnings; UsageError if they cannot be."""
    from dfud.receipts.topic import ask_receipt_topic

    config = options.config
    topic = ask_broker(signals, 1, patience, ask_receipt_topic, options.topic, config.properties, config.path)
    settings = ReceiptSettings(
        options.topic,
        topic.topic_id,
        source,
        options.receiver or f"{socket.gethostname()}:{directory}",
        options.with_sha256,
        config.properties,
        config.path,
    )
    return settings, (*config.warnings, *topic.warnings)


def make_outlet(
    settings: FetchSettings, logs: OpenFolder, workers: WorkerPool, log: logging.Logger
) -> ReceiptOutlet | None:
    """Return what sends the receipts that are wanted; None, which is recorded, if there are none."""
    receipts, record = settings.receipts, ReceiptRecord(logs, settings.topic)
    if receipts is None:
        with contextlib.suppress(OSError):  # whatever is wrong with LOGS has been said
            record.remove()
        return None
    log.info(f"sending receipts to topic {receipts.topic} as {escaped(receipts.receiver)}")

    def start(with_earlier: bool) -> SenderProcess:
        from dfud.downloading import receipt_worker

        list_files = partial(files_in_place, settings)
        args = receipts, list_files, settings.directory, settings.topic_id, with_earlier
        return workers.start("receipts", links.RECEIPT_SENDER, receipt_worker.run, args, outlives=True)

    return ReceiptOutlet(receipts.topic, start, workers.discard, log, not record.has(receipts))
