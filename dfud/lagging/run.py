"""One look at how far receivers are behind, as ``dfud lag`` takes it."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection, Mapping
from typing import Any, NamedTuple, TextIO

from dfud.core.text import escaped
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED, DfudError, UsageError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import consumer_properties
from dfud.kafka.topic_probe import OnWait
from dfud.lagging.lag import TopicLag
from dfud.lagging.receiver_lags import receiver_lags
from dfud.lagging.report import json_report, text_report
from dfud.logs.layout import LogsFolder
from dfud.logs.owner import check_owner
from dfud.processes.broker_wait import ask_broker, network_patience
from dfud.processes.signals import SignalPipe
from dfud.receipts.reading import survey_receipts


class LagOptions(NamedTuple):
    """What the user asked for."""

    topic: str
    receipts: str
    names: Collection[str]  # of receivers that may have sent no receipt yet
    directory: str | None  # whose upload has tables
    state_dir: str | None
    warn_s: float
    json: bool


def lag(options: LagOptions, config: ClientConfig, output: TextIO = sys.stdout) -> int:
    """Print how far receivers are behind; return the exit status. Raises DfudError."""
    folder = None if options.directory is None else _tables(options, options.directory)
    properties = consumer_properties(config, "dfud-lag")
    for warning in config.warnings:
        _warn(warning)
    patience = network_patience(properties)
    found = ask_broker(SignalPipe(), 2, patience, _ask, options, properties, config.path, folder)
    for warning in found.warnings:
        _warn(warning)
    if options.json:
        output.write(json_report(found, options.warn_s) + "\n")
    else:
        for line in text_report(found, options.warn_s):
            output.write(line + "\n")
    output.flush()
    is_due = any(each.is_due(options.warn_s) for each in found.receivers)
    return EXIT_UNDELIVERED if is_due or found.retention.compacts else EXIT_OK


def _tables(options: LagOptions, directory: str) -> LogsFolder:
    """Return LOGS; UsageError if there are no tables of the topic."""
    state_dir = os.path.realpath(options.state_dir) if options.state_dir else None
    folder = LogsFolder(os.path.realpath(directory), options.topic, state_dir)
    try:
        check_owner(folder)
        if folder.exists(folder.completed) or folder.shards():
            return folder
    except FileNotFoundError:
        pass
    except OSError as error:
        raise UsageError(f"cannot read {error.filename or folder.path}: {error.strerror}") from None
    raise UsageError(
        f"no upload of {folder.directory} to topic {folder.topic} is recorded in {folder.path}; check DIR, "
        "--topic_name and --state_dir, or leave DIR out"
    )


def _ask(
    on_wait: OnWait | None,
    options: LagOptions,
    properties: Mapping[str, Any],
    config_path: str,
    folder: LogsFolder | None,
) -> TopicLag:
    survey_receipts(on_wait, options.receipts, options.topic, properties, config_path)
    found = receiver_lags([options.topic], options.receipts, properties, config_path, options.names, folder)
    if options.topic not in found:
        raise DfudError(f"topic {options.topic} was deleted just now; try again")
    return found[options.topic]


def _warn(text: str) -> None:
    print(escaped(f"dfud: warning: {text}"), file=sys.stderr)
