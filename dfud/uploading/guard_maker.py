"""What guards an upload against retention, if the user wants that; otherwise it is not even imported."""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from dfud.files.links import LinkPolicy
from dfud.processes.event_loop import EventLoop
from dfud.processes.workers import WorkerPool
from dfud.uploading.ledger import Ledger
from dfud.uploading.options import GuardPlan

if TYPE_CHECKING:
    from dfud.uploading.guard import RetentionGuard

MakeGuard = Callable[[EventLoop], "RetentionGuard"]


def guard_maker(
    plan: GuardPlan | None, ledger: Ledger, pool: WorkerPool, link_policy: LinkPolicy, log: logging.Logger
) -> MakeGuard | None:
    """Return what makes the guard for the supervisor, or None if there is to be none."""
    if plan is None:
        return None
    from dfud.uploading.guard import RetentionGuard

    return partial(RetentionGuard, plan, ledger, pool, link_policy, log)
