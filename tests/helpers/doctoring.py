"""What the tests of the doctor have in common."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from dfud.doctor.bounded import Check, make_checks
from dfud.doctor.diagnosis import Diagnosis, Level
from dfud.logs.logfile import LogOptions
from dfud.uploading.options import UploadOptions
from tests.helpers.users import NOBODY


def options_for(directory: Path | str, topic: str = "T", **changes: Any) -> UploadOptions:
    """Return the options of an upload of `directory`, the defaults but for `changes`."""
    return UploadOptions(
        directory=os.fspath(directory),
        topic=topic,
        upload_existing=False,
        n_threads=2,
        upload_regex=None,
        chunk_size=16384,
        queue_max_size=500,
        update_seconds=-1,
        once=False,
        use_polling_observer=False,
        watchdog_lag_time=0,
        follow_links=False,
        log=LogOptions(logging.INFO, logging.INFO),
    )._replace(**changes)


def levels(diagnoses: Iterable[Diagnosis]) -> dict[str, Level]:
    """Return the worst level of each subject."""
    worst: dict[str, Level] = {}
    for each in diagnoses:
        worst[each.subject] = max(each.level, worst.get(each.subject, each.level))
    return worst


def without_privileges(
    check: Callable[[UploadOptions], Iterable[Diagnosis]], options: UploadOptions
) -> list[Diagnosis]:
    """Make a check in a process that may do only what everybody may, if this one is root's."""
    (found,) = make_checks(30.0, Check("check", _check_as_nobody, (check, options)))
    return found


def _check_as_nobody(
    check: Callable[[UploadOptions], Iterable[Diagnosis]], options: UploadOptions
) -> Iterator[Diagnosis]:
    if os.geteuid() == 0:
        os.setgroups([])
        os.setegid(NOBODY)
        os.seteuid(NOBODY)
    yield from check(options)
