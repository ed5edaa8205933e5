"""``dfud broker``: run a private Kafka in the foreground."""

from __future__ import annotations

import os
import shlex
import shutil
from pathlib import Path

import click

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.commands.command import CONTEXT, Command, Example, complete_folders, version_option
from dfud.commands.options import option
from dfud.commands.stop import StopRequested, signals_raise
from dfud.errors import BrokerError
from dfud.processes.console_narrator import ConsoleNarrator
from dfud.service.program import own_program

CONFIG_NAME = "dfud.config"
PORT = 9092  # Kafka's own
EXAMPLE = "run42"  # the directory and the topic of the next command

_MIN_HEAP_MB = 128


def default_data_dir() -> Path:
    """Return the folder for the data where --data_dir names none, by the XDG specification."""
    root = os.environ.get("XDG_DATA_HOME", "")
    return (Path(root) if root.startswith("/") else Path.home() / ".local" / "share") / "dfud" / "broker"


_EXAMPLES = (
    Example("Start a Kafka, or the same one again", ""),
    Example("Start another one beside it", "--data_dir kafka2 --port 9192"),
)


@click.command("broker", cls=Command, context_settings=CONTEXT, examples=_EXAMPLES)
@option(
    "--data_dir",
    metavar="FOLDER",
    shell_complete=complete_folders,
    type=click.Path(path_type=Path),
    default=default_data_dir,
    show_default="~/.local/share/dfud/broker",
    help="Folder for the topics, the settings and the log; a later start finds them there.",
)
@option(
    "--port",
    metavar="PORT",
    type=click.IntRange(0, 65535),
    default=0,
    help="Port of 127.0.0.1 to listen on.  [default: that of the last start; at the first, 9092 or a free one]",
)
@option(
    "--heap_mb",
    metavar="MB",
    type=click.IntRange(_MIN_HEAP_MB),
    default=512,
    show_default=True,
    help="Maximum size of the broker's heap.",
)
@version_option()
def broker(data_dir: Path, port: int, heap_mb: int) -> None:
    """Run a single-node Apache Kafka on this machine.

    It listens on 127.0.0.1 only and runs until SIGINT or SIGTERM. The first start downloads Kafka, about 45 MB.
    It writes the configuration file that an upload needs, and prints the very next command.
    """
    say = ConsoleNarrator()
    node = KafkaNode(data_dir, port=port, heap_mb=heap_mb, announce=say, preferred_port=PORT)
    with signals_raise():
        try:
            node.start()
            config = client_config.write(node.folder.path / CONFIG_NAME, node.bootstrap)
            say(f"Kafka listens on {node.bootstrap}; its log is {node.folder.log}")
            say(f"Configuration file: {config}")
            say("Next, in another terminal:")
            say("")
            say(f"    mkdir -p {EXAMPLE}")
            upload = ("upload", EXAMPLE, "--config", str(config), "--topic_name", EXAMPLE)
            say(f"    {shlex.join((*program_words(), *upload))}")
            say("")
            say("Stop it with Ctrl-C or SIGTERM.")
            status = node.wait()
            raise BrokerError(
                f"the broker exited unexpectedly (status {status}); the end of {node.folder.log}:\n"
                f"{node.folder.log_tail()}"
            )
        except StopRequested:
            say("Stopping Kafka")
        finally:
            node.stop()


def program_words() -> tuple[str, ...]:
    """Return how dfud is started in another terminal: by its name only if that does not need this environment."""
    own = own_program().words
    found = shutil.which("dfud")
    if found is None or os.path.realpath(found) != os.path.realpath(own[0]) or _is_activated(found):
        return own
    return ("dfud",)


def _is_activated(path: str) -> bool:
    """Return whether a program is found only because a virtual environment is active here."""
    environment = os.environ.get("VIRTUAL_ENV")
    return bool(environment) and os.path.dirname(path) == os.path.join(str(environment), "bin")
