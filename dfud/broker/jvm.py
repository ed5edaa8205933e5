"""Run Java programs as children that do not outlive this process."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

from dfud.broker import pdeathsig

_LOG_CONFIG = Path(__file__).with_name("log4j2.xml")

# Measured on 2 cores, 16 KiB messages: without C2, which takes the cores while it compiles, a start takes
# 1.5 s instead of 1.8 s, the first 400 MB come through faster by a third or more, and after 2 GB it is still
# ahead: a broker's time goes into copies and checksums, which are intrinsics. The serial collector, on a heap
# this small, beats the G1 of Kafka's scripts a little in both.
_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)


class Jvm(NamedTuple):
    """What it takes to run a Java program."""

    java: Path
    class_path: list[Path]
    heap_mb: int  # the most, in MiB; half of it is taken at the start

    def spawn(
        self, folder: Path, log: Path, arguments: list[str], inherit: Iterable[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a main class with its arguments in a folder, its output added to a log file.

        The kernel kills it when the thread that spawned it ends. It inherits the descriptors ``inherit``.
        """
        command = [
            *(sys.executable, "-I", "-S", pdeathsig.__file__, str(os.getpid())),
            *(str(self.java), f"-Xmx{self.heap_mb}m", f"-Xms{self.heap_mb // 2}m", *_OPTIONS),
            f"-Dlog4j2.configurationFile={_LOG_CONFIG.as_uri()}",
            *arguments,
        ]
        with log.open("ab") as output:
            return subprocess.Popen(
                command,
                cwd=folder,
                env=self._environment(),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # A Ctrl-C at the terminal is ours to answer, with a clean stop.
                start_new_session=True,
                pass_fds=tuple(inherit),
            )

    def _environment(self) -> dict[str, str]:
        """Return the child's environment: ours, less what would change the JVM behind our back."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
        }
        environment["CLASSPATH"] = os.pathsep.join(map(str, self.class_path))
        environment["LC_ALL"] = "C.UTF-8"  # Java decodes file names by it, and the folder's may be any
        return environment
