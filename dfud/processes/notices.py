"""Lines that workers have for the user."""

from __future__ import annotations

import logging

from dfud.logs.log_lines import about
from dfud.messages import Notice


def log_notice(log: logging.Logger, notice: Notice) -> None:
    """Log what a worker says, with the file and the cause that it is about."""
    log.log(notice.level, notice.text, extra=about(notice.file or None, cause=notice.cause or None))
