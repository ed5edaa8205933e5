"""The steps of an upload, in their order."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from functools import partial

from dfud.announcing.start import Announcements
from dfud.core.user_headers import header_bytes
from dfud.errors import DfudError, UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import lingers_by_load, message_timeout, producer_properties
from dfud.kafka.topic import look_at_topic
from dfud.logs.layout import LogsFolder
from dfud.logs.lock import DirectoryLock
from dfud.logs.log_files import FileInLogs
from dfud.logs.logfile import open_log, reopen_log
from dfud.logs.untouched import UntouchedLogs
from dfud.logs.upload_status import UploadStatus
from dfud.processes.child import ChildCall
from dfud.processes.console import CommandInput, ConsoleOutput
from dfud.processes.event_loop import RunContext
from dfud.processes.service_manager import take_service_manager
from dfud.processes.signals import SignalPipe
from dfud.uploading.chunk_limit import ChunkLimit
from dfud.uploading.client_statistics import statistics_interval
from dfud.uploading.descriptors import allow_descriptors
from dfud.uploading.last_ack import LastAck
from dfud.uploading.long_line import SharedLine, long_line
from dfud.uploading.metrics_outlets import metrics_outlets
from dfud.uploading.notifier import Notifier
from dfud.uploading.options import UploadOptions, log_fields
from dfud.uploading.outlets import Outlet
from dfud.uploading.preflight import (
    check_logs_access,
    check_options,
    check_sealing,
    check_topic,
    make_logs,
    memory_shares,
    topic_needs,
)
from dfud.uploading.producer import ProducerSettings
from dfud.uploading.status_writer import StatusWriter
from dfud.uploading.supervised_run import Reports, activity, supervise
from dfud.uploading.waiting import AbsentBroker
from dfud.uploading.wire import WIRE_FORMATS, with_headers


def upload(options: UploadOptions, config: ClientConfig) -> int:
    """Upload until asked to end; return the exit status. Raises DfudError."""
    signals = SignalPipe()
    manager = take_service_manager(os.environ)
    ends_at = None if options.time_limit is None else time.monotonic() + options.time_limit
    check_options(options)
    check_sealing(options, config)
    allow_descriptors(options)
    properties = producer_properties(
        config, options.chunk_size, memory_shares(options).librdkafka, header_bytes(options.headers)
    )
    state_dir = os.path.realpath(options.state_dir) if options.state_dir else None
    folder = LogsFolder(os.path.realpath(options.directory), options.topic, state_dir)
    metrics = metrics_outlets(options, folder)
    check_logs_access(folder)  # before a topic is created for nothing
    needs = topic_needs(options, properties)
    output = ConsoleOutput()
    try:
        with ChildCall(look_at_topic, options.topic, properties, config.path, needs, options.canary_topic) as call:
            early = None
            reason = call.wait(signals)
            absent = None
            if reason is not None:
                absent = AbsentBroker(call, reason, UntouchedLogs(folder), message_timeout(properties))
            make_logs(folder)
            lock = DirectoryLock.take(folder, folder.lock, activity(folder))
            no_log = logging.Logger("dfud", logging.CRITICAL + 1)
            status = StatusWriter(folder, options.once, no_log)
            others = metrics if manager is None else [Notifier(manager, no_log), *metrics]
            if absent is not None:
                user = RunContext(signals, output, CommandInput(), options.update_seconds)
                user.show_hint(options.log.stream_level)
                try:
                    early = absent.wait(options, folder, lock, user, status, others)
                except UsageError as error:
                    _end(others, status.header("ended", error.exit_status))
                    raise
                except DfudError as error:
                    _open_log(options, folder, output).error(str(error))
                    _end((status, *others), status.header("ended", error.exit_status))
                    return error.exit_status
        for leftover in folder.leftovers():
            with contextlib.suppress(OSError):  # a folder of that name, which someone else has made
                folder.unlink(leftover)
        log = _open_log(options, folder, output)
        signals.on_hangup = partial(reopen_log, log)
        if early is not None:
            log.warning("broker reachable")
        for warning in filter(None, (folder.weakness, *config.warnings)):
            log.warning(warning)
        check_topic(call.result, properties, config, log)
        wire = with_headers(WIRE_FORMATS[config.wire], options.headers)
        facts = call.result.facts
        n_partitions = len(facts.partitions)
        line = long_line(facts.round_trip_s, properties, options.chunk_size, wire.more_bytes, n_partitions)
        producer = ProducerSettings(
            options.topic,
            properties,
            lingers_by_load(config),
            wire,
            LastAck(),
            facts.topic_id,
            facts,
            needs,
            canary_topic=options.canary_topic,
            statistics_s=statistics_interval(properties) if metrics else 0.0,
            line=None if line is None else SharedLine(line, options.n_threads),
        )
        if line is not None:
            took = f"a request takes {facts.round_trip_s * 1000:.0f} ms"
            log.debug(f"{took}: each lane has up to {line.n_producers} Kafka producers")
        if metrics and not producer.statistics_s:
            log.info(f"statistics.interval.ms is 0 in {config.path}: there are no metrics of librdkafka")
        chunk_limit = ChunkLimit(options.topic, facts.largest_batch, config.properties, wire.more_bytes)
        status.log = log
        for outlet in others:
            outlet.log = log
        user = RunContext(signals, output, CommandInput(), options.update_seconds)
        reports = Reports(log, status, others, Announcements(options.announcements, folder, log))
        return supervise(options, producer, chunk_limit, folder, lock, user, reports, early, ends_at)
    finally:
        output.drain(2.0)
        output.close()


def _open_log(options: UploadOptions, folder: LogsFolder, output: ConsoleOutput) -> logging.Logger:
    default = FileInLogs(folder, folder.log)
    return open_log(output, options.log, default, options.directory, log_fields(options.topic))


def _end(outlets: Sequence[Outlet], status: UploadStatus) -> None:
    """Tell `outlets` that the run ends before it has a supervisor."""
    for outlet in outlets:
        outlet.end(status)
