"""``dfud doctor``: look for what would stop an upload, before it does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import chain
from typing import Any

import click

from dfud.commands.command import CONTEXT, LOG, Command, Example, Option, complete_folders, version_option
from dfud.commands.guard_options import plan_guard, take_guard
from dfud.commands.openmsistream_options import (
    Wanted,
    read_announcements,
    take_topic,
    take_useless,
    take_wanted,
)
from dfud.commands.options import apply_quiet, take_log_options
from dfud.commands.release_options import plan_release, take_release
from dfud.commands.upload import upload
from dfud.doctor.bounded import call_in_time
from dfud.doctor.diagnosis import Diagnosis, Level, exit_status, stops, warning
from dfud.doctor.examination import examine
from dfud.doctor.other_topics import check_announcement_topics
from dfud.doctor.report import as_json, line, summary
from dfud.errors import DfudError
from dfud.processes.console import open_standard_files
from dfud.uploading.options import UploadOptions

_FILE_TIMEOUT_S = 10.0  # to read the configuration file
_BROKER_TIMEOUT_S = 15.0  # until a broker has said what it knows of a topic for announcements
_OPTIONS_OF_UPLOAD = [parameter for parameter in upload.params if parameter.name not in ("directory", "version")]
_EXAMPLES = (
    Example("Check an upload before it is started", "/data/run42 --config kafka.config --topic_name run42"),
    Example("Say only what is not fine", "/data/run42 --config kafka.config --topic_name run42 --quiet"),
)


@click.command(cls=Command, context_settings=CONTEXT, params=list(_OPTIONS_OF_UPLOAD), examples=_EXAMPLES)
@click.argument(
    "directory", metavar="DIR", type=str, shell_complete=complete_folders
)  # click.Path would look at it, and may wait for ever
@click.option(
    "--json", "as_json_text", cls=Option, is_flag=True, group=LOG, help="Print one JSON object, for machines."
)
@version_option()
def doctor(directory: str, config: str, as_json_text: bool, **values: Any) -> int:
    """Look for what would stop an upload, and say what to do.

    It takes the options of "dfud upload", so that the command line of an upload can be checked as it is. By the
    rules of an upload it looks at the configuration, the brokers, the topic and the rights on it, clocks, DIR and
    LOGS, and the limits of this machine. It writes nothing and creates nothing, and can be run beside an upload.
    With --quiet it prints only what is not fine. Exit status: 0 all is fine; 1 warnings; 2 something would stop
    the upload.
    """  # fmt: skip
    is_quiet = apply_quiet(values)
    open_standard_files()
    topic = take_topic(values)
    of_options = [warning("options", text) for text in take_useless(values)]
    wanted, release, guard = take_wanted(values), take_release(values), take_guard(values)
    log = take_log_options(values)
    options = UploadOptions(directory=directory, topic=topic, log=log, **values)
    diagnoses: list[Diagnosis] = []
    others = chain(
        _check_announcements(wanted, config, topic),
        _check_plan("releases", partial(plan_release, release), directory, config, values),
        _check_plan("guard", partial(plan_guard, guard), directory, config, values),
    )
    for diagnosis in chain(examine(options, config), of_options, others):
        diagnoses.append(diagnosis)
        if not as_json_text and not (is_quiet and diagnosis.level in (Level.FINE, Level.SKIPPED)):
            click.echo(line(diagnosis))
    if as_json_text:
        click.echo(as_json(directory, topic, diagnoses))
    elif not is_quiet:
        click.echo(summary(diagnoses))
    return exit_status(diagnoses)


def _check_plan(
    what: str, plan: Callable[..., object], directory: str, config: str, values: dict[str, Any]
) -> Iterator[Diagnosis]:
    """Yield what is wrong with what is wanted beside the upload."""
    try:
        call_in_time(_FILE_TIMEOUT_S, plan, directory, config, "T", values)
    except DfudError as error:
        yield stops(what, str(error))


def _check_announcements(wanted: Wanted, config: str, topic: str) -> Iterator[Diagnosis]:
    """Yield what is wrong with the heartbeats and log messages that are wanted."""
    try:
        announcements = call_in_time(_FILE_TIMEOUT_S, read_announcements, wanted, config, topic)
    except DfudError as error:
        yield stops("announcements", str(error))
        return
    for each in announcements:
        for text in each.config.warnings:
            yield warning("announcements", text)
    yield from check_announcement_topics(announcements, config, _BROKER_TIMEOUT_S)
