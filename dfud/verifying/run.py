"""One verification: read the topic, then compare the directory and its tables with what was found."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from itertools import chain
from typing import NamedTuple, TextIO

from dfud.core.names import UploadFilter
from dfud.core.text import escaped
from dfud.core.version import FileVersion
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, UsageError
from dfud.files.links import LinkPolicy
from dfud.files.scan import Folder, WatchedTree
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import consumer_properties
from dfud.logs.layout import LogsFolder
from dfud.logs.owner import check_owner
from dfud.messages import Gap, ManifestRead, ReaderDone
from dfud.processes.bounded_pattern import BoundedPattern
from dfud.processes.broker_wait import ask_broker, network_patience
from dfud.processes.console import ConsoleOutput
from dfud.processes.signals import SignalPipe
from dfud.verifying.collector import Collector
from dfud.verifying.comparison import compare_file, compare_tables, missing_ranges
from dfud.verifying.read_topic import read_topic
from dfud.verifying.reader import ReadSettings
from dfud.verifying.report import FileStatus, Report
from dfud.verifying.survey import survey
from dfud.verifying.verify_activity import VerifyActivity

_OUTPUT_TIMEOUT_S = 2.0  # for a slow terminal


class VerifyOptions(NamedTuple):
    """What the user asked for."""

    directory: str
    topic: str
    n_threads: int
    upload_regex: str | None
    json: bool
    print0: bool
    follow_links: bool = False  # also those that lead out of the directory
    state_dir: str | None = None  # where LOGS is, if not in `directory`
    run: bytes | None = None  # path of the only run to be verified, b"" for the directory itself


def verify(options: VerifyOptions, config: ClientConfig, output: TextIO = sys.stdout) -> int:
    """Compare the directory with the topic; return the exit status. Raises DfudError."""
    began = time.monotonic()
    directory = os.path.realpath(options.directory)
    folder = LogsFolder(directory, options.topic, options.state_dir)
    tables = _completed_tables(folder)
    properties = consumer_properties(config, "dfud-verify")
    for warning in config.warnings:
        print(escaped(f"dfud: warning: {warning}"), file=sys.stderr)
    signals = SignalPipe()
    topic_id, offsets, gaps = ask_broker(
        signals, 2, network_patience(properties), survey, options.topic, properties, config.path
    )
    links = _link_policy(options.follow_links, folder)
    settings = ReadSettings(
        directory, options.topic, properties, options.n_threads, offsets, links, topic_id, options.run
    )
    report = Report(output, options.json, options.print0)
    if options.run is None:
        totals, n_corrupt = _compare_all(options, settings, _read(settings, signals), folder, tables, gaps, report)
    else:
        from dfud.verifying.run_check import RunManifests, compare_run

        manifests = RunManifests(report.add_note)
        collector = _read(settings, signals, manifests.add)
        totals, n_corrupt = compare_run(options.run, manifests.last, settings, collector, gaps, report), 0
    is_proved = report.finish(totals, n_corrupt, time.monotonic() - began)
    return EXIT_OK if is_proved else EXIT_UNDELIVERED


def _compare_all(
    options: VerifyOptions,
    settings: ReadSettings,
    collector: Collector,
    folder: LogsFolder,
    tables: list[str],
    gaps: Iterable[Gap],
    report: Report,
) -> tuple[ReaderDone, int]:
    """Report how all files, and all that is recorded, compare with what was read.

    Return what was read in all, and how many versions do not have their digest.
    """
    directory, links = settings.directory, settings.links
    content = collector.finish(directory, links)
    path_filter = UploadFilter(options.upload_regex, compile_regex=BoundedPattern)
    tree = WatchedTree(os.fsencode(directory), path_filter, links=links)
    named: set[bytes] = set()  # files that are incomplete on the topic
    for local in _local_files(tree):
        file = compare_file(local, content)
        report.add_file(file)
        if file.status is FileStatus.INCOMPLETE:
            named.add(local.path)
    for path in path_filter.pop_undecided():
        report.add_undecided(path)
    for unread in tree.unread:
        report.add_unread(unread.path)
    for verdict in compare_tables(folder, tables, directory, content, links):
        report.add_row(verdict)
    if content.is_replaced:
        report.add_replaced(options.topic)
    for gap in (*gaps, *content.gaps):
        report.add_gap(gap)
    for partial in chain.from_iterable(content.partials.values()):
        if partial.path not in named:
            report.add_incomplete(partial, missing_ranges(partial))
    return content.totals, content.findings.n_corrupt


def _read(
    settings: ReadSettings, signals: SignalPipe, on_manifest: Callable[[ManifestRead], None] = lambda _: None
) -> Collector:
    """Read the topic, and show on a terminal at standard error how far that is."""
    activity = VerifyActivity(sum(end - start for start, end in settings.offsets.values()))
    output = ConsoleOutput(2)
    try:
        is_shown = output.show_live(activity)
        if is_shown:
            signals.watch_terminal(output.on_continued)
        collector = Collector(activity, output.write_line if is_shown else None, on_manifest)
        read_topic(settings, signals, collector, output if is_shown else None)
    finally:
        output.drain(_OUTPUT_TIMEOUT_S)
        output.close()
    return collector


def _local_files(tree: WatchedTree) -> Iterator[FileVersion]:
    """Yield the files that an upload would take."""
    for item in tree.walk(Folder(b"", True)):
        if item is not None:
            yield item[0].version


def _completed_tables(folder: LogsFolder) -> list[str]:
    """Return the paths of the tables that are there.

    Raises UsageError if they are another directory's, or cannot be read.
    """
    try:
        check_owner(folder)
        tables = [path for path in (folder.completed, *folder.shards()) if folder.exists(path)]
        for path in tables:
            folder.open_to_read(path).close()
    except FileNotFoundError:  # there is no LOGS
        return []
    except OSError as error:
        raise UsageError(f"cannot read {error.filename or folder.path}: {error.strerror}") from None
    return tables


def _link_policy(follow_links: bool, folder: LogsFolder) -> LinkPolicy:
    """Return which links are followed, and which folder is LOGS."""
    try:
        return LinkPolicy(follow_links, folder.identity)
    except OSError:  # there is none
        return LinkPolicy(follow_links)
