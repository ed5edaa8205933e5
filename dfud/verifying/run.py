"""One verification: read the topic, then compare the directory and its tables with what was found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from typing import NamedTuple, TextIO

from dfud.core.names import name_filter
from dfud.core.version import FileVersion
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED
from dfud.files.scan import Folder, WatchedTree
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import consumer_properties
from dfud.kafka.watermarks import query_partitions
from dfud.logs.layout import LogsFolder
from dfud.processes.child import run_in_child
from dfud.processes.signals import SignalPipe
from dfud.verifying.collector import Collector
from dfud.verifying.comparison import compare_file, compare_tables
from dfud.verifying.read_topic import read_topic
from dfud.verifying.reader import ReadSettings
from dfud.verifying.report import Report


class VerifyOptions(NamedTuple):
    """What the user asked for."""

    directory: str
    topic: str
    n_threads: int
    upload_regex: str
    json: bool
    print0: bool


def verify(options: VerifyOptions, config: ClientConfig, output: TextIO = sys.stdout) -> int:
    """Compare the directory with the topic; return the exit status. Raises DfudError."""
    properties = consumer_properties(config, "dfud-verify")
    signals = SignalPipe()
    partitions = run_in_child(signals, query_partitions, options.topic, properties, config.path, False)
    offsets = {number: (each.start, each.end) for number, each in partitions.items()}
    directory = os.path.realpath(options.directory)
    collector = Collector()
    read_topic(ReadSettings(directory, options.topic, properties, options.n_threads, offsets), signals, collector)
    content = collector.finish(directory)
    report = Report(output, options.json, options.print0)
    for local in _local_files(directory, options.upload_regex):
        report.add_file(compare_file(local, content))
    tables = _completed_tables(LogsFolder(directory, options.topic))
    for verdict in compare_tables(tables, directory, content.findings):
        report.add_row(verdict)
    is_proved = report.finish(content.totals, has_tables=bool(tables))
    return EXIT_OK if is_proved else EXIT_UNDELIVERED


def _local_files(directory: str, upload_regex: str) -> Iterator[FileVersion]:
    """Yield the files that an upload would take."""
    tree = WatchedTree(os.fsencode(directory), name_filter(upload_regex), 0)
    for item in tree.walk(Folder(b"", True)):
        if item is not None:
            yield item[0].version


def _completed_tables(folder: LogsFolder) -> list[str]:
    """Return the paths of the tables that are there."""
    try:
        return [path for path in (folder.completed, *folder.shards()) if os.path.exists(path)]
    except OSError:
        return []
