"""A release beside an upload, in a process of its own: what the log of the upload is told of it."""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from dfud.core.text import counted, printable
from dfud.errors import DfudError, StoppedError
from dfud.kafka.config import ClientConfig
from dfud.kafka.properties import consumer_properties
from dfud.logs.layout import LogsFolder
from dfud.messages import ReleaseEnded
from dfud.receipts.reading import survey_receipts
from dfud.releasing.candidates import Candidate
from dfud.releasing.one_release import OneRelease
from dfud.releasing.options import ReleaseOptions, open_destination

_MAX_NAMED = 20  # files that could not go
_WARNING = "warning: "

Tell = Callable[[int, str], None]  # a level of `logging`, and a line


class BackgroundRelease(NamedTuple):
    """What is released beside an upload; all of it was checked."""

    options: ReleaseOptions
    properties: Mapping[str, Any]  # of the consumer
    config_path: str  # to name it in messages

    def run(self, tell: Tell, is_stopping: Callable[[], bool]) -> ReleaseEnded:
        """Release what may go, once; the calling process must not fork afterwards."""
        report = LoggedReport(tell)
        trouble = ""
        try:
            self._run(report, lambda: "the upload ends" if is_stopping() else "")
        except StoppedError:
            pass
        except DfudError as error:
            trouble = str(error)
        return ReleaseEnded(report.files, report.bytes, time.process_time(), trouble)

    def _run(self, report: LoggedReport, stop_reason: Callable[[], str]) -> None:
        options, properties = self.options, dict(self.properties)
        directory = os.path.realpath(options.directory)
        folder = LogsFolder(directory, options.topic, options.state_dir)
        destination = open_destination(options, directory, "--release_to", "--release_keep_free")
        release = OneRelease(options, directory, folder, destination, report, stop_reason)
        try:
            release.run(
                lambda: survey_receipts(None, options.receipts, options.topic, properties, self.config_path),
                properties,
            )
        finally:
            release.close()
        report.finish(release.stay, release.lacking)


def check_background(options: ReleaseOptions, config: ClientConfig) -> BackgroundRelease:
    """Return the release that the user wants beside an upload; UsageError if it cannot work."""
    destination = open_destination(
        options, os.path.realpath(options.directory), "--release_to", "--release_keep_free"
    )
    if destination is not None:
        destination.close()
    return BackgroundRelease(options, consumer_properties(config, "dfud-release"), config.path)


class LoggedReport:
    """Tells of what the user has to know; the rest is counted."""

    def __init__(self, tell: Tell) -> None:
        """Tell lines by `tell`."""
        self._tell = tell
        self.files = self.bytes = self.failed = 0

    def warn(self, text: str) -> None:
        """Tell what the user has to know."""
        self._tell(logging.WARNING, text[len(_WARNING) :] if text.startswith(_WARNING) else text)

    def note(self, text: str) -> None:
        """Tell what the user may want to know."""
        self._tell(logging.DEBUG, text)

    def add_gone(self, candidate: Candidate, receivers: Sequence[str]) -> None:
        """Count a file that has gone."""
        self.files += 1
        self.bytes += candidate.file.version.size

    def add_kept(self, candidate: Candidate, reason: str, is_failure: bool) -> None:
        """Tell why a file stays; as a warning if it should have gone, of the first ones."""
        text = f"{printable(candidate.file.version.path)}: not released: {reason}"
        self.failed += is_failure
        self._tell(logging.WARNING if is_failure and self.failed <= _MAX_NAMED else logging.DEBUG, text)

    def finish(self, stay: Mapping[str, int], lacking: Mapping[str, int]) -> None:
        """Tell how many files stay, by why, and how many receipts of each receiver are missing."""
        if self.failed > _MAX_NAMED:
            self.warn(f"{counted(self.failed - _MAX_NAMED, 'more file')} could not be released")
        for reason, number in sorted(stay.items()):
            self.note(f"not released: {counted(number, 'file')} {reason}")
        for name, number in lacking.items():
            self.note(f"not released: {counted(number, 'receipt')} missing of {name}")
