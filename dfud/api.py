"""The commands as functions: ``dfud.upload`` and ``dfud.download``."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import deque
from collections.abc import Sequence
from typing import Any, Union

from dfud.core.text import escaped
from dfud.errors import EXIT_LOCKED, EXIT_USAGE, DfudError, LockedError, UsageError
from dfud.processes.own_command import OWN_COMMAND, own_environment

Path = Union[str, bytes, "os.PathLike[str]", "os.PathLike[bytes]"]

_MAX_SHOWN_LINES = 20  # of a command's output, in the text of an error
_ERRORS: dict[int, type[DfudError]] = {EXIT_USAGE: UsageError, EXIT_LOCKED: LockedError}


def upload(
    directory: Path,
    config: Path,
    topic_name: str,
    *,
    once: bool = True,
    time_limit: float | None = None,
    canary: float | None = None,
    canary_topic_name: str | None = None,
    upload_existing: bool = False,
    n_threads: int = 2,
    upload_regex: str | None = None,
    chunk_size: int = 16384,
    queue_max_size: float = 500,
    update_seconds: float = -1,
    use_polling_observer: bool = False,
    state_dir: Path | None = None,
    watchdog_lag_time: float = 0,
    follow_links: bool = False,
    logger_stream_level: str | int = "warning",
    logger_file_level: str | int = "info",
    logger_file_path: Path | None = None,
    logger_file_max_size: float = 10,
    logger_file_count: int = 5,
    log_format: str = "text",
    heartbeat_topic_name: str | None = None,
    heartbeat_program_id: str | None = None,
    heartbeat_interval_secs: float | None = None,
    log_topic_name: str | None = None,
    log_program_id: str | None = None,
    log_interval_secs: float | None = None,
    metrics_file: Path | None = None,
    metrics_port: str | int | None = None,
    header: Sequence[str] = (),
    run_marker: Sequence[str] = (),
    run_metadata: str | None = None,
    receipts: str | None = None,
    receivers: Sequence[str | int] = (),
    guard: str | None = None,
    resend: bool = False,
    run_sha256: bool = False,
    release: str | None = None,
    release_to: Path | None = None,
    release_every: str = "60s",
    release_older_than: str | None = None,
    release_keep_free: float | None = None,
    release_rehash: bool = False,
) -> None:
    """Upload the files of `directory` to a topic; return when all of them are there.

    This runs ``dfud upload`` in a process of its own; the options are those of the command, in its units: times in
    seconds, `chunk_size` in bytes, `queue_max_size` and `logger_file_max_size` in MB. What it prints is printed;
    by default that is nothing but warnings and errors. Without `once` it runs until KeyboardInterrupt, which ends
    it in an orderly way and is raised again.

    Raises UsageError for bad options or configuration, LockedError if another upload of `directory` to the topic
    is running, and DfudError if some files could not be delivered; the error's text names them.
    """
    options: dict[str, Any] = {
        "once": once,
        "time_limit": time_limit,
        "canary": canary,
        "canary_topic_name": canary_topic_name,
        "upload_existing": upload_existing,
        "n_threads": n_threads,
        "upload_regex": upload_regex,
        "chunk_size": chunk_size,
        "queue_max_size": queue_max_size,
        "update_seconds": update_seconds,
        "use_polling_observer": use_polling_observer,
        "state_dir": state_dir,
        "watchdog_lag_time": watchdog_lag_time,
        "follow_links": follow_links,
        "logger_stream_level": logger_stream_level,
        "logger_file_level": logger_file_level,
        "logger_file_path": logger_file_path,
        "logger_file_max_size": logger_file_max_size,
        "logger_file_count": logger_file_count,
        "log_format": log_format,
        "heartbeat_topic_name": heartbeat_topic_name,
        "heartbeat_program_id": heartbeat_program_id,
        "heartbeat_interval_secs": heartbeat_interval_secs,
        "log_topic_name": log_topic_name,
        "log_program_id": log_program_id,
        "log_interval_secs": log_interval_secs,
        "metrics_file": metrics_file,
        "metrics_port": metrics_port,
        "header": header,
        "run_marker": run_marker,
        "run_metadata": run_metadata,
        "receipts": receipts,
        "receivers": receivers,
        "guard": guard,
        "resend": resend,
        "run_sha256": run_sha256,
        "release": release,
        "release_to": release_to,
        "release_every": release_every,
        "release_older_than": release_older_than,
        "release_keep_free": release_keep_free,
        "release_rehash": release_rehash,
    }
    _run("upload", directory, config, topic_name, options)


def download(
    directory: Path,
    config: Path,
    topic_name: str,
    *,
    once: bool = True,
    n_threads: int = 2,
    download_regex: str | None = None,
    consumer_group_id: str | None = None,
    receipts: str | None = None,
    receiver: str | None = None,
    receipt_sha256: bool = False,
    runs: bool = False,
    run_layout: str | None = None,
    ro_crate: bool = False,
    update_seconds: float = -1,
    logger_stream_level: str | int = "warning",
    logger_file_level: str | int = "info",
    logger_file_path: Path | None = None,
    logger_file_max_size: float = 10,
    logger_file_count: int = 5,
    log_format: str = "text",
) -> None:
    """Rebuild the files of a topic below `directory`; return when everything on the topic has been read.

    This runs ``dfud download`` in a process of its own; the options are those of the command, in its units: times
    in seconds, `logger_file_max_size` in MB. What it prints is printed; by default that is nothing but warnings
    and errors. Without `once` it runs until KeyboardInterrupt, which ends it in an orderly way and is raised
    again.

    Raises UsageError for bad options or configuration, LockedError if another download into `directory` is
    running, and DfudError if some files could not be rebuilt; the error's text names them.
    """
    options: dict[str, Any] = {
        "once": once,
        "n_threads": n_threads,
        "download_regex": download_regex,
        "consumer_group_id": consumer_group_id,
        "receipts": receipts,
        "receiver": receiver,
        "receipt_sha256": receipt_sha256,
        "runs": runs,
        "run_layout": run_layout,
        "ro_crate": ro_crate,
        "update_seconds": update_seconds,
        "logger_stream_level": logger_stream_level,
        "logger_file_level": logger_file_level,
        "logger_file_path": logger_file_path,
        "logger_file_max_size": logger_file_max_size,
        "logger_file_count": logger_file_count,
        "log_format": log_format,
    }
    _run("download", directory, config, topic_name, options)


def _run(command: str, directory: Path, config: Path, topic_name: str, options: dict[str, Any]) -> None:
    """Run a command in a process of its own, which leaves the caller's signals and threads alone."""
    args = [
        *OWN_COMMAND,
        command,
        f"--config={os.fsdecode(config)}",
        f"--topic_name={topic_name}",
    ]
    for name, value in options.items():
        if value is True:
            args.append(f"--{name}")
        elif isinstance(value, (list, tuple)):
            args += [f"--{name}={each}" for each in value]
        elif value is not None and value is not False:
            args.append(f"--{name}={os.fsdecode(value) if isinstance(value, (bytes, os.PathLike)) else value}")
    process = subprocess.Popen(
        [*args, "--", os.fsdecode(directory)],
        env=own_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,  # Ctrl-C reaches only us, and we pass it on
    )
    try:
        output = _show_output(process)
        status = process.wait()
    except BaseException:
        process.send_signal(signal.SIGTERM)
        process.communicate()
        raise
    if status:
        raise _ERRORS.get(status, DfudError)(output or f"dfud {command} ended with status {status}")


def _show_output(process: subprocess.Popen[bytes]) -> str:
    """Print what a process writes, until its end, and return the last lines."""
    last_lines: deque[str] = deque(maxlen=_MAX_SHOWN_LINES)
    assert process.stdout is not None
    for line in process.stdout:
        text = escaped(line.decode("utf-8", "replace").rstrip("\n"), keep="\t")
        print(text, flush=True)
        last_lines.append(text)
    process.stdout.close()
    return "\n".join(last_lines)
