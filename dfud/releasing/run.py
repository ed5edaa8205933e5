"""Run ``dfud release``: list, delete or move what all receivers have."""

from __future__ import annotations

import os
import signal
import sys
import time
from typing import TextIO

from dfud.core.text import escaped
from dfud.errors import EXIT_OK, EXIT_UNDELIVERED
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import consumer_properties
from dfud.logs.layout import LogsFolder
from dfud.processes.broker_wait import ask_broker, network_patience
from dfud.processes.signals import SignalPipe
from dfud.receipts.reading import survey_receipts
from dfud.releasing.one_release import OneRelease
from dfud.releasing.options import ReleaseOptions, check_tables, open_destination
from dfud.releasing.report import PrintedReport


def release(options: ReleaseOptions, config: ClientConfig, output: TextIO = sys.stdout) -> int:
    """Remove the files that all receivers have, or list them; return the exit status. Raises DfudError."""
    began = time.monotonic()
    directory = os.path.realpath(options.directory)
    folder = LogsFolder(directory, options.topic, options.state_dir)
    check_tables(folder)
    destination = open_destination(options, directory)
    properties = consumer_properties(config, "dfud-release")
    for warning in config.warnings:
        print(escaped(f"dfud: warning: {warning}"), file=sys.stderr)
    signal.signal(signal.SIGIO, signal.SIG_IGN)  # a program waits for a lease of ours: that is looked at
    signals = SignalPipe()
    survey = ask_broker(
        signals,
        2,
        network_patience(properties),
        survey_receipts,
        options.receipts,
        options.topic,
        properties,
        config.path,
    )
    verb = "moved" if destination is not None else "deleted"
    listed = "" if options.acts else f"would be {verb}"
    report = PrintedReport(output, options.json, options.print0, listed)

    def stop_reason() -> str:
        return next((number.name for number in signals.read()), "")

    run = OneRelease(options, directory, folder, destination, report, stop_reason)
    try:
        run.run(lambda: survey, properties)
    finally:
        run.close()
    report.finish(run.stay, run.lacking, time.monotonic() - began)
    return EXIT_OK if run.is_done else EXIT_UNDELIVERED
