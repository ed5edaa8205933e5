"""click's commands, with options in groups, with examples, and with suggestions for what is misspelt."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from difflib import get_close_matches
from typing import Any, NamedTuple, TypeVar

import click
from click.shell_completion import CompletionItem

from dfud import __version__

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}

# The groups of options that several commands have.
FILES = "Files and topic"
SPEED = "Speed"
WHEN = "When"
RECEIPTS = "Receipts"
RELEASING = "Releasing"
RUNS = "Sealed runs"
LOG = "Console and log"
MONITORING = "Monitoring"
OPENMSISTREAM = "Heartbeats and log messages, as in OpenMSIStream"

_UNGROUPED, _OTHERS = "Options", "Other options"
_MAX_NAMES_WIDTH = 30  # of the column with the names of the options
_IN_WORDS = (  # what click writes of values, and what people read
    (re.compile(r"(\S+)<=x<=(\S+)\]"), r"\1 to \2]"),
    (re.compile(r"x>=(\S+)\]"), r"at least \1]"),
    (re.compile(r"\[default: \((.*)\)\]"), r"[default: \1]"),
    (re.compile(r"(\[default: [^]]*)\]  \["), r"\1; "),
)

_Function = TypeVar("_Function", bound=Callable[..., Any])


class Example(NamedTuple):
    """A command line that the help text of a command shows."""

    what: str
    arguments: str  # what follows the name of the command


class Option(click.Option):
    """An option that belongs to a group, and whose help shows one of its spellings."""

    def __init__(self, *arguments: Any, group: str = "", **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.group = group

    @property
    def other_spelling(self) -> str:
        """The spelling with dashes; "" if it is that of the name."""
        dashed = "--" + self.opts[0][2:].replace("_", "-")
        return dashed if dashed in self.opts[1:] else ""

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Return the names and the help text."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        names, text = record
        if self.other_spelling:
            names = names.replace(f", {self.other_spelling}", "", 1)
        for pattern, words in _IN_WORDS:
            text = pattern.sub(words, text)
        return names, text


class Command(click.Command):
    """A command with options in groups, and with examples at the end of its help."""

    def __init__(self, *arguments: Any, examples: Sequence[Example] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def grouped_options(self, ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
        """Return the names and the help texts of the options, by the title of their group."""
        return _grouped(self.get_params(ctx), ctx)

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the options, the ones of a group below its title."""
        _write_options(self.grouped_options(ctx), formatter)

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_examples(self, self.examples, ctx, formatter)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Parse the arguments. Raises NoSuchOption with the name that may be meant."""
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            raise _with_suggestion(error, self, ctx) from None

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        """Return what may follow: of two spellings of an option, the one that was begun."""
        return _without_other_spellings(super().shell_complete(ctx, incomplete), self.params)


class Group(click.Group):
    """A command with subcommands, likewise."""

    command_class = Command

    def __init__(self, *arguments: Any, examples: Sequence[Example] = (), **settings: Any) -> None:
        super().__init__(*arguments, **settings)
        self.examples = examples

    def format_epilog(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the examples."""
        _write_examples(self, self.examples, ctx, formatter)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the subcommand that is named. Raises UsageError with the name that may be meant."""
        name = args[0]
        if not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            for suggestion in get_close_matches(name.lower(), self.list_commands(ctx), n=1):
                ctx.fail(f"No such command {name!r}. Did you mean {suggestion!r}?")
        return super().resolve_command(ctx, args)


def version_option() -> Callable[[_Function], _Function]:
    """Return the option that prints the version."""
    return click.version_option(__version__, "--version", "-V", prog_name="dfud")


def complete_files(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Let the shell complete the path of a file."""
    return [CompletionItem(incomplete, type="file")]


def complete_folders(
    _context: click.Context, _parameter: click.Parameter, incomplete: str
) -> list[CompletionItem]:
    """Let the shell complete the path of a folder."""
    return [CompletionItem(incomplete, type="dir")]


def _grouped(parameters: Iterable[click.Parameter], ctx: click.Context) -> dict[str, list[tuple[str, str]]]:
    groups: dict[str, list[tuple[str, str]]] = {}
    others: list[tuple[str, str]] = []
    for parameter in parameters:
        record = parameter.get_help_record(ctx) if isinstance(parameter, click.Option) else None
        if record is None:
            continue
        group = parameter.group if isinstance(parameter, Option) else ""
        (groups.setdefault(group, []) if group else others).append(record)
    if others:
        groups[_OTHERS if groups else _UNGROUPED] = others
    return groups


def _write_options(groups: dict[str, list[tuple[str, str]]], formatter: click.HelpFormatter) -> None:
    widths = [len(names) for records in groups.values() for names, _ in records]
    width = max((width for width in widths if width <= _MAX_NAMES_WIDTH), default=_MAX_NAMES_WIDTH)
    for title, records in groups.items():
        with formatter.section(title):
            # Names of one width in all groups: a column begins after the widest ones of its own group.
            formatter.write_dl([(names.ljust(width), text) for names, text in records], width)


def _write_examples(
    command: click.Command, examples: Sequence[Example], ctx: click.Context, formatter: click.HelpFormatter
) -> None:
    if examples:
        formatter.write_paragraph()
        formatter.write("Examples:\n")
    for number, (what, arguments) in enumerate(examples):
        if number:
            formatter.write("\n")
        formatter.write(f"  {what}:\n    {' '.join((ctx.command_path, arguments)).rstrip()}\n")  # never wrapped
    if any(isinstance(parameter, Option) and parameter.other_spelling for parameter in command.params):
        formatter.write_paragraph()
        formatter.write_text("Options may also be spelled with dashes in place of underscores.")


def _with_suggestion(error: click.NoSuchOption, command: click.Command, ctx: click.Context) -> click.NoSuchOption:
    """Return the error with the one option, in the spelling that was tried, that comes nearest."""
    typed = error.option_name
    shown = [each for each in command.get_params(ctx) if not (isinstance(each, click.Option) and each.hidden)]
    names = [name for each in shown for name in each.opts if name.startswith("--")]
    unwanted = "_" if "-" in typed[2:] else "-"
    matches = get_close_matches(typed, [name for name in names if unwanted not in name[2:]], n=1)
    return click.NoSuchOption(typed, possibilities=matches or None, ctx=error.ctx)


def _without_other_spellings(
    items: list[CompletionItem], parameters: Iterable[click.Parameter]
) -> list[CompletionItem]:
    others = {each.other_spelling: each.opts[0] for each in parameters if isinstance(each, Option)}
    values = {item.value for item in items}
    return [item for item in items if others.get(item.value, "") not in values]
