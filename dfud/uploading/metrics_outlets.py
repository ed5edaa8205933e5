"""The outlets for Prometheus; what the user does not ask for is not even imported."""

from __future__ import annotations

import contextlib

from dfud.errors import LockedError, UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.session import RunState, last_run
from dfud.uploading.options import UploadOptions
from dfud.uploading.outlets import EarlyOutlet


def metrics_outlets(options: UploadOptions, logs: LogsFolder) -> list[EarlyOutlet]:
    """Return the outlets that the user wants; nothing is written yet.

    Raises UsageError if one of them cannot work, and LockedError if that is because another instance has its port.
    """
    outlets: list[EarlyOutlet] = []
    if options.metrics_file is not None:
        from dfud.metrics.textfile import MetricsFile

        outlets.append(MetricsFile(options.metrics_file, logs))
    if options.metrics_port is not None:
        from dfud.metrics.endpoint import MetricsEndpoint

        try:
            outlets.append(MetricsEndpoint(*options.metrics_port))
        except UsageError:
            _check_running(logs)
            raise
    return outlets


def _check_running(logs: LogsFolder) -> None:
    with contextlib.suppress(OSError):  # no LOGS
        if last_run(logs, logs.lock) is RunState.RUNNING:
            raise LockedError(
                f"another dfud is already uploading {logs.directory} to topic {logs.topic}"
            ) from None
