"""Run the real OpenMSIStream, in a virtual environment that is created once."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.helpers.uploading import WAIT_S, wait_until

ENVIRONMENT = Path(__file__).resolve().parents[2] / ".venv" / "openmsistream"
INSTALL_S = 900.0
_PACKAGE = "openmsistream >= 1.8.8"

CONFIG = """\
[broker]
bootstrap.servers = $DFUD_TEST_BOOTSTRAP

[producer]
batch.size       = 200000
linger.ms        = 100
compression.type = lz4
key.serializer   = StringSerializer
value.serializer = DataFileChunkSerializer

[consumer]
group.id           = create_new
auto.offset.reset  = earliest
enable.auto.commit = False
fetch.min.bytes    = 100000
key.deserializer   = StringDeserializer
value.deserializer = DataFileChunkDeserializer

[heartbeat]
node_id = of no concern to an upload
"""

# Prints key and value of so many messages of a topic, a line each, by OpenMSIStream's consumer.
_READ = """\
import sys
from confluent_kafka.serialization import StringDeserializer
from openmsistream.kafka_wrapper.openmsistream_consumer import OpenMSIStreamConsumer
path, topic, number = sys.argv[1:]
consumer = OpenMSIStreamConsumer.from_file(path, value_deserializer=StringDeserializer())
consumer.subscribe([topic])
for _ in range(int(number)):
    message = None
    while message is None:
        message = consumer.get_next_message(1)
    print(message.key(), message.value(), sep="\\t")
"""


class InstallError(Exception):
    """pip could not install OpenMSIStream; the text is its last line."""


def install(seconds: float = INSTALL_S) -> Path:
    """Return the folder of OpenMSIStream's commands; install it if necessary. Raises InstallError."""
    done = ENVIRONMENT / "installed"
    ENVIRONMENT.parent.mkdir(exist_ok=True)
    with open(ENVIRONMENT.with_name("openmsistream.lock"), "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # parallel test runs create one environment
        if not done.exists():
            shutil.rmtree(ENVIRONMENT, ignore_errors=True)
            _run([sys.executable, "-m", "venv", os.fspath(ENVIRONMENT)], seconds)
            pip = [os.fspath(ENVIRONMENT / "bin" / "python"), "-m", "pip", "--disable-pip-version-check"]
            _run([*pip, "install", "--quiet", _PACKAGE], seconds)
            done.touch()
    return ENVIRONMENT / "bin"


def _run(words: Sequence[str], seconds: float) -> None:
    try:
        subprocess.run(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=seconds, check=True
        )
    except subprocess.TimeoutExpired:
        raise InstallError(f"{words[0]} took more than {seconds:.0f} s") from None
    except subprocess.CalledProcessError as error:
        raise InstallError((error.stdout.strip().splitlines() or ["no reason given"])[-1]) from None


@contextmanager
def running(command: Path, *words: object, output: Path) -> Iterator[subprocess.Popen[bytes]]:
    """Run a command of OpenMSIStream for the time of the block, and kill all of it at the end."""
    with output.open("wb") as log:
        process = subprocess.Popen(
            [command, *map(str, words)],
            stdin=subprocess.PIPE,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        yield process
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.stdin is not None
        process.stdin.close()


class OpenMSIStream:
    """OpenMSIStream's upload and download."""

    def __init__(self, commands: Path, config: Path, logs: Path) -> None:
        self._commands = commands
        self.config = config
        self._logs = logs

    def download_until(
        self, directory: Path, topic: str, done: Callable[[], bool], seconds: float = WAIT_S
    ) -> None:
        """Rebuild a topic's files in `directory` until `done`."""
        log = self._logs / "download.log"
        words = (directory, "--config", self.config, "--topic_name", topic)
        with running(self._commands / "DataFileDownloadDirectory", *words, output=log) as process:
            wait_until(lambda: done() or process.poll() is not None, seconds)
        assert done(), log.read_text()

    def upload_until(
        self, directory: Path, topic: str, done: Callable[[], bool], *options: object, seconds: float = WAIT_S
    ) -> None:
        """Upload what is in `directory` until `done`, then kill it with SIGKILL."""
        log = self._logs / "upload.log"
        words = (directory, "--config", self.config, "--topic_name", topic, "--upload_existing", *options)
        with running(self._commands / "DataFileUploadDirectory", *words, output=log) as process:
            wait_until(lambda: done() or process.poll() is not None, seconds)
            assert process.poll() is None, log.read_text()

    def read_texts(self, topic: str, number: int) -> list[tuple[str, str]]:
        """Return key and value of the first messages of a topic of one partition, which are text."""
        words = [f"{self._commands}/python", "-c", _READ, os.fspath(self.config), topic, str(number)]
        done = subprocess.run(words, stdout=subprocess.PIPE, text=True, timeout=WAIT_S, check=True)
        return [(key, value) for key, _, value in (line.partition("\t") for line in done.stdout.splitlines())]


if __name__ == "__main__":
    try:
        print(install())
    except InstallError as error:
        sys.exit(f"cannot install OpenMSIStream: {error}")
