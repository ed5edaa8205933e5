"""One Kafka for several runs of pytest at the same time: ``python -m tests.helpers.shared_kafka``.

It prints one line for the environment variable `VARIABLE` of those runs, and ends with its standard input.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
from pathlib import Path

from dfud.broker.node import KafkaNode
from tests.helpers.quotas import SHORT_BURSTS

VARIABLE = "DFUD_TEST_KAFKA"


class SharedKafka(KafkaNode):
    """A broker that another process has started, and will stop."""

    def __init__(self, line: str) -> None:
        """Take what that process has printed."""
        printed = json.loads(line)
        super().__init__(Path(printed["folder"]))
        self._bootstrap: str = printed["bootstrap"]
        self._internal_bootstrap: str = printed["internal_bootstrap"]
        self._pid: int = printed["pid"]

    @property
    def bootstrap(self) -> str:
        """The address for ``bootstrap.servers``."""
        return self._bootstrap

    @property
    def internal_bootstrap(self) -> str:
        """The address of the plain-text listener, for administration."""
        return self._internal_bootstrap

    @property
    def pid(self) -> int:
        """The process id of the JVM."""
        return self._pid

    @property
    def is_running(self) -> bool:
        """Return whether the JVM is running."""
        return os.path.exists(f"/proc/{self._pid}")


def _main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="dfud-tests-") as folder,
        KafkaNode(Path(folder) / "kafka", properties=SHORT_BURSTS) as node,
    ):
        line = {
            "folder": str(node.folder.path),
            "bootstrap": node.bootstrap,
            "internal_bootstrap": node.internal_bootstrap,
            "pid": node.pid,
        }
        print(json.dumps(line), flush=True)
        sys.stdin.read()


if __name__ == "__main__":
    _main()
