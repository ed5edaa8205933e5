"""All checks, in their order: what is on this machine first, as it needs no broker."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from datetime import datetime, timezone

from dfud.doctor.addresses import check_addresses
from dfud.doctor.bounded import Check, call_in_time, make_checks
from dfud.doctor.certificates import check_certificates
from dfud.doctor.configuration import Configuration, examine_configuration
from dfud.doctor.diagnosis import Diagnosis, Level, skipped, stops
from dfud.doctor.folders import survey
from dfud.doctor.logs_folder import check_logs_folder, folder_of
from dfud.doctor.resources import check_resources
from dfud.doctor.topic import check_topic
from dfud.doctor.watching import check_file_systems, check_inotify
from dfud.errors import DfudError
from dfud.kafka.user_settings import UserSettings
from dfud.logs.session import RunState, last_run
from dfud.uploading.options import UploadOptions
from dfud.uploading.preflight import sealing_fault

_LOCAL_TIMEOUT_S = 10.0  # for all checks on this machine, which are made at the same time
_NETWORK_TIMEOUT_S = 15.0  # until a broker has answered all questions
_REFUSED_TIMEOUT_S = 5.0  # if none of the addresses accepts connections


def examine(options: UploadOptions, config_path: str) -> Iterator[Diagnosis]:
    """Yield all that there is to say about an upload with these options; none of it ends with an exception."""
    configuration = _configuration(config_path)
    yield from configuration.diagnoses
    local = (
        Check("directory", _check_directory, (options,)),
        Check("LOGS", check_logs_folder, (options,)),
        Check("file system", check_file_systems, (options,)),
        Check("memory", check_resources, (options,)),
    )
    for found in make_checks(_LOCAL_TIMEOUT_S, *local):
        yield from found
    config = configuration.config
    if config is None:
        yield skipped("broker", "not asked, as the configuration is refused")
        return
    fault = sealing_fault(options, config)
    if fault:
        yield stops("options", fault)
    user = UserSettings(config.properties, "producer")
    addresses, certificates = make_checks(
        _NETWORK_TIMEOUT_S,
        Check("address", check_addresses, (user.text("bootstrap.servers"),)),
        Check("certificate", check_certificates, (user, datetime.now(timezone.utc))),
    )
    yield from addresses
    yield from certificates
    is_reachable = any(each.level is Level.FINE for each in addresses)
    timeout_s = _NETWORK_TIMEOUT_S if is_reachable else _REFUSED_TIMEOUT_S
    yield from check_topic(options, config, timeout_s, waits=is_reachable)


def _configuration(path: str) -> Configuration:
    try:
        return call_in_time(_LOCAL_TIMEOUT_S, examine_configuration, path)
    except DfudError as error:
        return Configuration([stops("configuration", str(error))], None)


def _check_directory(options: UploadOptions) -> Iterator[Diagnosis]:
    """Count the folders, and compare their number with what inotify grants."""
    folder = folder_of(options)
    logs, is_running = (0, 0), False
    with contextlib.suppress(OSError):  # there is no LOGS, or the check of LOGS says what is wrong with it
        logs = folder.identity
        is_running = last_run(folder, folder.lock) is RunState.RUNNING
    found = survey(options, logs)
    yield from found.diagnoses
    if found.n_folders:
        yield from check_inotify(options, found.n_folders, is_running, found.is_whole)
