"""``dfud doctor``: look for what would stop an upload, before it does."""

from __future__ import annotations

from typing import Any

import click

from dfud import __version__
from dfud.commands.main import CONTEXT
from dfud.commands.options import apply_quiet
from dfud.commands.upload import upload
from dfud.doctor.diagnosis import Level, exit_status
from dfud.doctor.examination import examine
from dfud.doctor.report import as_json, line, summary
from dfud.processes.console import open_standard_files
from dfud.uploading.options import UploadOptions

_OPTIONS_OF_UPLOAD = [parameter for parameter in upload.params if parameter.name not in ("directory", "version")]


@click.command(context_settings=CONTEXT, params=list(_OPTIONS_OF_UPLOAD))
@click.argument("directory", metavar="DIR", type=str)  # click.Path would look at it, and may wait for ever
@click.option("--json", "as_json_text", is_flag=True, help="Print one JSON object, for machines.")
@click.version_option(__version__, prog_name="dfud")
def doctor(directory: str, config: str, topic_name: str, as_json_text: bool, **values: Any) -> int:
    """Look for what would stop an upload, and say what to do.

    It takes the options of "dfud upload", so that the command line of an upload can be checked as it is. By the
    rules of an upload it looks at the configuration, the brokers, the topic and the rights on it, clocks, DIR and
    LOGS, and the limits of this machine. It writes nothing and creates nothing, and can be run beside an upload.
    With --quiet it prints only what is not fine. Exit status: 0 all is fine; 1 warnings; 2 something would stop
    the upload.
    """  # fmt: skip
    is_quiet = apply_quiet(values)
    open_standard_files()
    options = UploadOptions(directory=directory, topic=topic_name, **values)
    diagnoses = []
    for diagnosis in examine(options, config):
        diagnoses.append(diagnosis)
        if not as_json_text and not (is_quiet and diagnosis.level in (Level.FINE, Level.SKIPPED)):
            click.echo(line(diagnosis))
    if as_json_text:
        click.echo(as_json(directory, topic_name, diagnoses))
    elif not is_quiet:
        click.echo(summary(diagnoses))
    return exit_status(diagnoses)
