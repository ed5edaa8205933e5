"""What the user wants of the guard over retention, and the checks of it that need no broker."""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from dfud.commands.receipt_options import check_receipts_given
from dfud.errors import UsageError
from dfud.kafka.config import read_config
from dfud.kafka.properties import consumer_properties
from dfud.logs.layout import LogsFolder
from dfud.uploading.options import GuardPlan

_LOOKS, _MIN_LOOK_S, _MAX_LOOK_S = 6, 1.0, 60.0  # how many in the time given, and the time between them


class WantedGuard(NamedTuple):
    """The values of the options."""

    within_s: float | None  # None for no guard
    resends: bool


def take_guard(options: dict[str, Any]) -> WantedGuard:
    """Take what is about the guard out of the values of the options."""
    return WantedGuard(options.pop("guard"), options.pop("resend"))


def plan_guard(
    wanted: WantedGuard, directory: str, config: str, topic: str, options: dict[str, Any]
) -> GuardPlan | None:
    """Return what the guard of an upload with these `options` is to do; None if there is to be none.

    Raises UsageError for what cannot work.
    """
    if wanted.within_s is None:
        if wanted.resends:
            raise UsageError("--resend sends again what --guard finds: give both, or leave it out")
        return None
    check_receipts_given(options, "--guard", "who is to have each file before it is deleted")
    if options["once"]:
        raise UsageError("--guard is for an upload that goes on, not for --once; leave one of them out")
    client = read_config(config, "consumer")
    state_dir = options["state_dir"]
    return GuardPlan(
        LogsFolder(os.path.realpath(directory), topic, state_dir and os.path.realpath(state_dir)),
        options["receipts"],
        options["receivers"],
        wanted.within_s,
        min(max(wanted.within_s / _LOOKS, _MIN_LOOK_S), _MAX_LOOK_S),
        wanted.resends,
        consumer_properties(client, "dfud-guard"),
        client.path,
    )
