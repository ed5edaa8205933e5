"""Loggers for the log lines of librdkafka, which do not belong on the console."""

from __future__ import annotations

import logging


def silent_logger() -> logging.Logger:
    """Return a new logger for a client, which drops every line."""
    logger = logging.Logger("librdkafka")
    logger.addHandler(logging.NullHandler())
    return logger
