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

# Measured on 2 cores with messages of 16 KiB: without the C2 compiler, which occupies the cores, a start takes
# 1.5 s instead of 1.8 s, and the first 400 MB are faster by at least a third. After 2 GB it is still ahead, as a
# broker's time goes into copies and checksums, which are intrinsics. On a heap this small, the serial collector
# slightly beats the G1 of Kafka's scripts in both.
_OPTIONS = (
    "-XX:TieredStopAtLevel=1",
    "-XX:+UseSerialGC",
    "-XX:+ExitOnOutOfMemoryError",
    "-XX:-UsePerfData",
    "-Djava.awt.headless=true",
)


class Jvm(NamedTuple):
    """A Java with a class path and a heap, which runs Java programs."""

    java: Path
    class_path: list[Path]
    heap_mb: int  # maximum, in MiB; half of it is allocated at the start

    def spawn(
        self, folder: Path, log: Path, arguments: list[str], inherit: Iterable[int] = ()
    ) -> subprocess.Popen[bytes]:
        """Start a main class with its arguments in a folder; append its output to a log file.

        The kernel kills the process when the thread that spawned it ends. It inherits the descriptors `inherit`.
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
                # So that a Ctrl-C at the terminal reaches us alone, and we stop it cleanly.
                start_new_session=True,
                pass_fds=tuple(inherit),
            )

    def _environment(self) -> dict[str, str]:
        """Return the child's environment: ours without the variables that add options to a JVM."""
        environment = {
            name: value
            for name, value in os.environ.items()
            if name not in ("JAVA_TOOL_OPTIONS", "JDK_JAVA_OPTIONS", "_JAVA_OPTIONS")
        }
        environment["CLASSPATH"] = os.pathsep.join(map(str, self.class_path))
        environment["LC_ALL"] = "C.UTF-8"  # Java decodes file names by it
        return environment
