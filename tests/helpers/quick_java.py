"""A Java that starts a broker in half the time: ``python -m tests.helpers.quick_java FOLDER``.

The JVM maps Kafka's classes from an archive in FOLDER (class data sharing), instead of loading and verifying each
one from its jar. FOLDER is then a value for JAVA_HOME. Where the archive does not fit, the JVM does without it.
"""

from __future__ import annotations

import os
import shlex
import sys
import tempfile
from pathlib import Path

from dfud.broker import jars, java
from dfud.broker.node import KafkaNode


def make_quick_java(folder: Path) -> None:
    """Make the Java and its archive, unless they were made of the same Java and the same Kafka."""
    program, archive, made_from = folder / "bin" / "java", folder / "kafka.jsa", folder / "made-from"
    original = java.find_java()
    origin = f"{original.resolve()}\n{jars.cache_dir() / jars.folder_name(jars.KAFKA)}\n"
    if archive.exists() and made_from.exists() and made_from.read_text() == origin:
        return
    program.parent.mkdir(parents=True, exist_ok=True)
    archive.unlink(missing_ok=True)
    _write(program, original, f"-XX:ArchiveClassesAtExit={archive}")
    os.environ["JAVA_HOME"] = str(folder)
    with tempfile.TemporaryDirectory() as data, KafkaNode(data):
        pass
    _write(program, original, f"-XX:SharedArchiveFile={archive}")
    made_from.write_text(origin)


def _write(program: Path, original: Path, option: str) -> None:
    program.write_text(f'#!/bin/sh\nexec {shlex.quote(str(original))} {shlex.quote(option)} "$@"\n')
    program.chmod(0o755)


if __name__ == "__main__":
    make_quick_java(Path(sys.argv[1]).absolute())
