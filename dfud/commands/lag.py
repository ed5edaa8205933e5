"""``dfud lag``: what receivers have not received yet, and when retention takes it."""

from __future__ import annotations

from typing import Any

import click

from dfud.commands.command import CONTEXT, RECEIPTS, Command, Example, complete_folders, version_option
from dfud.commands.options import config_option, option, state_dir_option, topic_option
from dfud.commands.receipt_options import duration_option, receipts_option
from dfud.core.receipt import receiver_fault
from dfud.errors import UsageError
from dfud.kafka.config import read_config
from dfud.lagging.run import LagOptions
from dfud.lagging.run import lag as run_lag

_OUTPUT = "Output"
_OPTIONS = "--config kafka.config --topic_name run42 --receipts receipts"
_EXAMPLES = (
    Example("See how far all receivers of a topic are behind", _OPTIONS),
    Example("Compare with the tables of the upload, file by file", f"/data/run42 {_OPTIONS}"),
    Example(
        "Exit with 1 if the archive may lose something within a day: for cron",
        f"/data/run42 {_OPTIONS} --receivers archive --warn 1d",
    ),
)


def _check_names(_context: click.Context, _parameter: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    for name in value:
        fault = receiver_fault(name)
        if fault:
            raise click.BadParameter(f"{name!r} cannot be the name of a receiver: {fault}")
    return value


@click.command(cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@click.argument("directory", metavar="[DIR]", required=False, type=click.Path(), shell_complete=complete_folders)
@config_option("consumer")
@topic_option("Topic that the files are on.")
@state_dir_option()
@receipts_option("Topic with the receipts of the receivers.")
@option(
    "--receivers",
    metavar="NAME",
    multiple=True,
    callback=_check_names,
    group=RECEIPTS,
    help="Receiver that may have sent no receipt yet, besides those that have; repeat it for each of them.",
)
@duration_option(
    "--warn", "Exit with 1 if something may be lost within this time, as in 90s, 30m, 12h or 7d.", _OUTPUT, "1h"
)
@option("--json", is_flag=True, group=_OUTPUT, help="Print one JSON object, for machines.")
@version_option()
def lag(directory: str | None, config: str, topic_name: str, **options: Any) -> int:
    """Show what receivers lack, and when retention takes it.

    With DIR, whose upload has tables in LOGS, files are compared one by one; without, lags are estimated by the
    offsets that downloads have committed. Exit status: 0 all is well; 1 something was lost before it was received,
    or may be within the time of --warn; 2 bad usage or configuration.
    """  # fmt: skip
    if directory is None and options["state_dir"] is not None:
        raise UsageError("--state_dir is where LOGS of DIR is: give both, or neither of them")
    return run_lag(
        LagOptions(
            topic=topic_name,
            receipts=options["receipts"],
            names=options["receivers"],
            directory=directory,
            state_dir=options["state_dir"],
            warn_s=options["warn"],
            json=options["json"],
        ),
        read_config(config, "consumer"),
    )
