"""The folder of a broker: its lock, its files, and the port of its last start."""

from __future__ import annotations

import contextlib
import fcntl
import os
from pathlib import Path

from dfud.errors import UsageError

_TAIL_BYTES = 8192


class DataFolder:
    """The files of one broker: ``kafka/`` (its data), ``logs/kafka.log``, ``lock``, ``port``."""

    def __init__(self, path: Path) -> None:
        self.path = path.absolute()
        self.data = self.path / "kafka"
        self.log = self.path / "logs" / "kafka.log"
        self._port = self.path / "port"
        self._lock: int | None = None

    @property
    def is_formatted(self) -> bool:
        """Return whether the folder holds a broker's data."""
        return (self.data / "meta.properties").exists()

    @property
    def lock_descriptor(self) -> int:
        """The descriptor of the lock that is held; a process that inherits it holds the lock, too."""
        assert self._lock is not None
        return self._lock

    def acquire(self) -> None:
        """Create the folder and lock it for this broker. Raises UsageError, before anything is written."""
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            lock = os.open(self.path / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise UsageError(
                f"cannot write to the data folder {self.path}: {error.strerror}; choose another with --data_dir"
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            os.close(lock)
            raise UsageError(
                f"another broker uses the data folder {self.path}; stop it, or choose another with --data_dir"
            ) from error
        self._lock = lock

    def release(self) -> None:
        """Unlock the folder, also for processes that inherited the descriptor. Does nothing without a lock."""
        if self._lock is not None:
            fcntl.flock(self._lock, fcntl.LOCK_UN)
            os.close(self._lock)
            self._lock = None

    def remembered_port(self) -> int | None:
        """Return the client port of the last start, or None if there was none."""
        try:
            return int(self._port.read_text(encoding="ascii"))
        except (OSError, ValueError):
            return None

    def remember_port(self, port: int) -> None:
        """Record the client port for the next start."""
        self._port.write_text(f"{port}\n", encoding="ascii")

    def rotate_log(self) -> None:
        """Rename the log of the last start to ``kafka.log.1``."""
        with contextlib.suppress(FileNotFoundError):
            self.log.replace(self.log.with_name("kafka.log.1"))

    def log_tail(self, lines: int = 15) -> str:
        """Return the last lines of the log, indented, for an error message."""
        try:
            with self.log.open("rb") as stream:
                stream.seek(max(0, self.log.stat().st_size - _TAIL_BYTES))
                text = stream.read().decode("utf-8", "replace")
        except OSError as error:
            return f"    (no log: {error.strerror})"
        return "\n".join(f"    {line}" for line in text.splitlines()[-lines:]) or "    (the log is empty)"
