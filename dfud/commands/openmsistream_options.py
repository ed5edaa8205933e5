"""The options of OpenMSIStream's ``DataFileUploadDirectory`` that dfud would not need for itself."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Any

import click

from dfud.announcing.options import AnnouncementOptions
from dfud.commands.command import OPENMSISTREAM
from dfud.commands.options import Command, check_topic, option
from dfud.errors import UsageError
from dfud.kafka.announcement_config import read_announcement_config
from dfud.messages import AnnouncementKind

_MIN_INTERVAL_S = 0.1
_INTERVALS_S: Mapping[AnnouncementKind, float] = {"heartbeat": 900.0, "log": 60.0}
_WHAT: Mapping[AnnouncementKind, str] = {"heartbeat": "heartbeats", "log": "the lines of the log"}
_OF_ANNOUNCEMENTS = ("topic_name", "program_id", "interval_secs")
_USELESS = {  # by name: why
    "consumer_topic_name": "an upload reads no topic",
    "consumer_group_id": "an upload reads no topic",
    "treat_undecryptable_as_plaintext": "dfud does not encrypt",
    "max_wait_per_decrypt": "dfud does not encrypt",
    "max_initial_wait_per_decrypt": "dfud does not encrypt",
}
_FLAGS = ("treat_undecryptable_as_plaintext",)

Wanted = Mapping[AnnouncementKind, tuple[Any, ...]]  # topic, program id and interval; None where it is not given


def _check_interval(_context: click.Context, _parameter: click.Parameter, value: float | None) -> float | None:
    if value is not None and not (math.isfinite(value) and value >= _MIN_INTERVAL_S):
        raise click.BadParameter(f"{value} is not a number of seconds from {_MIN_INTERVAL_S} on")
    return value


def announcement_options(command: Command) -> Command:
    """Add the options for heartbeats and for the lines of the log."""
    for kind, what in reversed(list(_WHAT.items())):
        for decorate in (
            option(
                f"--{kind}_interval_secs",
                metavar="SECONDS",
                type=float,
                callback=_check_interval,
                group=OPENMSISTREAM,
                help=f"How often {what} are sent.  [default: {_INTERVALS_S[kind]:g}]",
            ),
            option(
                f"--{kind}_program_id",
                metavar="ID",
                group=OPENMSISTREAM,
                help=f"Key of the messages, before _{kind}.  [default: HOST:DIR:TOPIC]",
            ),
            option(
                f"--{kind}_topic_name",
                metavar="TOPIC2",
                callback=check_topic,
                group=OPENMSISTREAM,
                help=f"Topic to which {what} are sent.",
            ),
        ):
            command = decorate(command)
    return command


def useless_options(command: Command) -> Command:
    """Add the options that OpenMSIStream has for programs that read; they are not shown in the help."""
    for name in _USELESS:
        command = option(f"--{name}", is_flag=name in _FLAGS, hidden=True)(command)
    return option("--producer_topic_name", metavar="TOPIC", callback=check_topic, hidden=True)(command)


def take_topic(options: dict[str, Any]) -> str:
    """Take both names of the topic out of the values of the options, and return the one that counts."""
    topic, by_other_name = options.pop("topic_name"), options.pop("producer_topic_name")
    name: str | None = by_other_name or topic
    if name is None:
        raise click.UsageError("Missing option '--topic_name'.")
    return name


def take_wanted(options: dict[str, Any]) -> Wanted:
    """Take what is to be announced out of the values of the options."""
    return {kind: tuple(options.pop(f"{kind}_{name}") for name in _OF_ANNOUNCEMENTS) for kind in _WHAT}


def read_announcements(wanted: Wanted, path: str, topic: str) -> tuple[AnnouncementOptions, ...]:
    """Return what is to be announced of an upload to `topic`, with the settings for it from the file at `path`.

    Raises UsageError.
    """
    announcements = []
    for kind, (own_topic, program_id, interval_s) in wanted.items():
        if own_topic is None:
            continue
        if own_topic == topic:
            raise UsageError(
                f"--{kind}_topic_name {topic} is the topic of the files, whose readers would take {_WHAT[kind]} "
                "for damaged chunks; give it another one"
            )
        config = read_announcement_config(path, kind)
        every_s = interval_s or _INTERVALS_S[kind]
        announcements.append(AnnouncementOptions(kind, own_topic, program_id, every_s, config))
    return tuple(announcements)


def take_useless(options: dict[str, Any]) -> Iterator[str]:
    """Take the options without a use out of the values, and yield a line for each option that has no effect."""
    for name, reason in _USELESS.items():
        if options.pop(name):
            yield f"--{name} has no effect: {reason}"
    for kind in _WHAT:
        topic, *others = (f"{kind}_{name}" for name in _OF_ANNOUNCEMENTS)
        for name in others:
            if options[topic] is None and options[name] is not None:
                yield f"--{name} has no effect without --{topic}"
