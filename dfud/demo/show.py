"""The demonstration from start to end, with a comment on each step."""

from __future__ import annotations

import os
import shlex
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Callable, NamedTuple

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from dfud.broker import client_config
from dfud.broker.jars import KAFKA_VERSION
from dfud.broker.node import KafkaNode
from dfud.core.text import printable
from dfud.demo.compare import compare
from dfud.demo.reader import NotAsDescribedError, read_topic, rebuild
from dfud.demo.tree import ODD_NAMES, PlannedFile, plan, write_tree
from dfud.errors import BrokerError
from dfud.processes.own_command import OWN_COMMAND, own_environment

TOPIC = "demo"
PARTITIONS = 4
_HEAP_MB = 512
_CREATE_TIMEOUT_S = 30.0
_MAX_DIFFERENCES = 10

Say = Callable[[str], None]


class Place(NamedTuple):
    """Where the demonstration happens."""

    data: Path  # the folder to create and upload
    config: Path  # the configuration file for the Kafka
    bootstrap: str
    topic: str  # to create


def show(say: Say) -> bool:
    """Run the demonstration in a temporary folder, which is removed afterwards; return whether it passed.

    `say` gets one line at a time. Raises DfudError if Kafka cannot be started.
    """
    with tempfile.TemporaryDirectory(prefix="dfud-demo-") as name:
        folder = Path(name)
        say(f"Everything is in {folder} and is removed at the end.")
        _title(say, "1. Start a Kafka")
        node = KafkaNode(folder / "kafka", heap_mb=_HEAP_MB, announce=say)
        started = time.monotonic()
        with node:
            say(f"Kafka {KAFKA_VERSION} listens on {node.bootstrap} after {time.monotonic() - started:.1f} s.")
            config = client_config.write(folder / "kafka.config", node.bootstrap)
            try:
                return there_and_back(say, Place(folder / "data", config, node.bootstrap, TOPIC))
            except KafkaException as error:
                raise BrokerError(f"the Kafka of the demonstration does not answer: {error}") from error


def there_and_back(say: Say, place: Place, dfud: Sequence[str] = OWN_COMMAND) -> bool:
    """Write files, upload them with the command `dfud`, compare, upload again; return whether all passed."""
    _create_topic(place)
    say(f"Created topic {place.topic} with {PARTITIONS} partitions.")

    _title(say, "2. Write what an instrument might write")
    files = list(plan())
    write_tree(os.fsencode(place.data), files)
    _describe_tree(say, files)

    _title(say, "3. Upload it")
    seconds = _upload(say, place, dfud)
    if seconds is None:
        return False
    size = sum(file.size for file in files)
    say(
        f"From start to exit of the command: {seconds:.1f} s, "
        f"{size / seconds / 1e6:.0f} MB/s and {len(files) / seconds:,.0f} files/s."
    )

    _title(say, "4. Read the topic back, with code that shares nothing with the uploader")
    messages = read_topic(place.bootstrap, place.topic)
    try:
        on_topic = rebuild(messages)
    except NotAsDescribedError as error:
        say(f"FAILED: a message contradicts its description: {error}")
        return False
    compared = compare(os.fsencode(place.data), on_topic)
    for difference in compared.differences[:_MAX_DIFFERENCES]:
        say(f"FAILED: {difference}")
    say(
        f"{len(messages):,} messages; {compared.same:,} of {compared.files:,} files are byte for byte the same, "
        "times and names included."
    )

    _title(say, "5. Upload it again: all of it is on the topic, so nothing is sent")
    if _upload(say, place, dfud) is None:
        return False
    more = len(read_topic(place.bootstrap, place.topic)) - len(messages)
    say(f"{more:,} messages were sent.")
    passed = compared.same == len(files) and not compared.differences and more == 0
    say("")
    say(
        f"Passed: {compared.same:,} files there and back, byte for byte the same, none sent twice."
        if passed
        else "FAILED: see above."
    )
    return passed


def _title(say: Say, text: str) -> None:
    say("")
    say(text)


def _create_topic(place: Place) -> None:
    """Create the topic. Raises KafkaException."""
    admin = AdminClient({"bootstrap.servers": place.bootstrap, "log_level": 3})
    admin.create_topics([NewTopic(place.topic, PARTITIONS, 1)])[place.topic].result(_CREATE_TIMEOUT_S)


def _describe_tree(say: Say, files: list[PlannedFile]) -> None:
    folders = {parent for path, _ in files for parent in Path(os.fsdecode(path)).parents} - {Path()}
    empty = sum(not size for _, size in files)
    say(
        f"{len(files):,} files in {len(folders)} folders, {sum(size for _, size in files) / 1e6:.0f} MB; "
        f"{empty} of them empty, and {2 * len(ODD_NAMES)} with names such as"
    )
    for name in ODD_NAMES[1:6]:
        say(f"    {printable(name)}")


def _upload(say: Say, place: Place, dfud: Sequence[str]) -> float | None:
    """Run the command and show its output; return the seconds it took, or None if it failed."""
    arguments = ["upload", str(place.data), "--config", str(place.config), "--topic_name", place.topic, "--once"]
    say(f"$ dfud {shlex.join(arguments)}")
    started = time.monotonic()
    with subprocess.Popen([*dfud, *arguments], env=own_environment(), stdin=subprocess.DEVNULL) as process:
        try:
            status = process.wait()
        except BaseException:  # the end of the block waits for the process
            process.terminate()
            raise
    if status != 0:
        say(f"FAILED: the upload exited with status {status}")
        return None
    return time.monotonic() - started
