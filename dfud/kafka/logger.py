"""Loggers for the log lines of librdkafka, which do not belong on the console."""

from __future__ import annotations

import logging


def silent_logger() -> logging.Logger:
    """Return a new logger for a client, which drops every line."""
    logger = logging.Logger("librdkafka")
    logger.addHandler(logging.NullHandler())
    return logger


class DisconnectHandler(logging.Handler):
    """Notices in the log of a client that a broker accepts connections and then closes them."""

    def __init__(self) -> None:
        """Notice nothing yet."""
        super().__init__()
        self.has_seen_one = False

    def emit(self, record: logging.LogRecord) -> None:
        """Check one line of the log."""
        self.has_seen_one = self.has_seen_one or "Disconnected" in record.getMessage()
