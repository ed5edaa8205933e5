"""Write a man page for each command, from what click knows of it: ``python man_pages.py [FOLDER]``.

The date is that of SOURCE_DATE_EPOCH, for builds that can be repeated, or else today's.
"""

from __future__ import annotations

import inspect
import os
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import click

from dfud import __version__
from dfud.commands.command import Command, Example, Group
from dfud.commands.main import dfud

FOLDER = Path(__file__).resolve().parent.parent / "build" / "man"
ALIASES = {"dfud-upload": "DataFileUploadDirectory", "dfud-download": "DataFileDownloadDirectory"}
SECTION = 1
_EXIT = "Exit status: "


class Page(NamedTuple):
    """A command, as a man page names and shows it."""

    name: str  # its words, joined by "-"
    context: click.Context


def pages(context: click.Context) -> Iterator[Page]:
    """Yield the page of a command and those of the commands below it."""
    yield Page(context.command_path.replace(" ", "-"), context)
    command = context.command
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield from pages(click.Context(child, parent=context, info_name=name, **child.context_settings))


def render(page: Page, others: list[str], date: str) -> str:
    """Return the text of a page in man's macros; `others` are the names of all pages."""
    context, command = page.context, page.context.command
    summary, *paragraphs = map(one_line, inspect.cleandoc(command.help or "").split("\n\n"))
    names = [page.name, *filter(None, [ALIASES.get(page.name)])]
    lines = [
        f'.TH "{escape(page.name.upper())}" {SECTION} "{date}" "dfud {__version__}" "dfud"',
        ".SH NAME",
        f"{', '.join(map(escape, names))} \\- {escape(summary.rstrip('.'))}",
        ".SH SYNOPSIS",
        "\n.br\n".join(synopsis(path, context) for path in [context.command_path, *names[1:]]),
        ".SH DESCRIPTION",
        wrapped(summary),
    ]
    statuses = exit_statuses(paragraphs)
    for paragraph in paragraphs:
        text = paragraph.partition(_EXIT)[0].rstrip() if statuses else paragraph
        lines += [".PP", wrapped(text)] if text else []
    if isinstance(command, click.Group):
        lines.append(".SH COMMANDS")
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                lines += [".TP", reference(f"{page.name}-{name}"), wrapped(child.get_short_help_str(1000))]
    lines += ["\n.SH OPTIONS", *options(command, context)]
    if statuses:
        lines.append(".SH EXIT STATUS")
        for status, meaning in statuses:
            lines += [".TP", f"\\fB{status}\\fR", wrapped(meaning)]
    if isinstance(command, (Command, Group)):
        lines += [".SH EXAMPLES", "\n.PP\n".join(example(each, context) for each in command.examples)]
    lines += [".SH SEE ALSO", ",\n".join(reference(name) for name in others if name != page.name)]
    return "\n".join(lines).replace("\n\n", "\n") + "\n"


def options(command: click.Command, context: click.Context) -> Iterator[str]:
    """Yield the lines for the options of a command."""
    groups = option_groups(command, context)
    for title, records in groups.items():
        if len(groups) > 1:
            yield f".SS {escape(title)}"
        for option, text in records:
            yield from (".TP", bold_names(option), wrapped(text))
    if any("_" in option for records in groups.values() for option, _ in records):
        yield from (".PP", "Options may also be spelled with dashes in place of underscores.")


def example(what: Example, context: click.Context) -> str:
    """Return the lines for an example."""
    words = " ".join((context.command_path, what.arguments)).rstrip()
    return "\n".join([f"{wrapped(what.what)}:", ".PP", ".RS 4", ".nf", escape(words), ".fi", ".RE"])


def exit_statuses(paragraphs: list[str]) -> list[tuple[str, str]]:
    """Return the statuses and their meanings, of a help text that tells them once."""
    told = [paragraph.partition(_EXIT)[2] for paragraph in paragraphs if _EXIT in paragraph]
    if len(told) != 1:
        return []
    return [
        (status, meaning)
        for status, _, meaning in (each.partition(" ") for each in told[0].rstrip(".").split("; "))
    ]


def option_groups(command: click.Command, context: click.Context) -> dict[str, list[tuple[str, str]]]:
    """Return the names and the texts of the options, by the title of their group."""
    if isinstance(command, Command):
        return command.grouped_options(context)
    records = [each.get_help_record(context) for each in command.get_params(context)]
    return {"Options": [record for record in records if record is not None]}


def synopsis(path: str, context: click.Context) -> str:
    """Return how a command is called."""
    pieces = context.command.collect_usage_pieces(context)
    return f"\\fB{escape(path)}\\fR {escape(' '.join(pieces))}"


def reference(name: str) -> str:
    """Return the reference to a page."""
    return f"\\fB{escape(name)}\\fR({SECTION})"


def bold_names(option: str) -> str:
    """Return the names of an option in bold and its value as it is."""
    *first, last = option.split(", ")
    last, space, value = last.partition(" ")
    return ", ".join(f"\\fB{escape(name)}\\fR" for name in (*first, last)) + space + escape(value)


def wrapped(text: str) -> str:
    """Return text as it is shown, in lines of the usual width."""
    return "\n".join(map(escape, textwrap.wrap(" ".join(text.split()), 72, break_on_hyphens=False)))


def one_line(paragraph: str) -> str:
    """Return a paragraph without the lines of the source."""
    return " ".join(paragraph.replace("``", "").split())


def escape(text: str) -> str:
    """Return text that roff shows as it is."""
    text = text.replace("\\", "\\e").replace("-", "\\-").replace("'", "\\(aq").replace("~", "\\(ti")
    text = text.replace("^", "\\(ha").replace("`", "\\(ga")
    return f"\\&{text}" if text.startswith(".") else text


def main(arguments: list[str]) -> int:
    """Write all pages into a folder; return the exit status."""
    folder = Path(arguments[0]) if arguments else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    date = time.strftime("%Y-%m-%d", time.gmtime(float(os.environ.get("SOURCE_DATE_EPOCH") or time.time())))
    written = list(pages(click.Context(dfud, info_name="dfud", **dfud.context_settings)))
    names = [page.name for page in written]
    for page in written:
        (folder / f"{page.name}.{SECTION}").write_text(render(page, names, date), encoding="utf-8")
    for name, alias in ALIASES.items():
        (folder / f"{alias}.{SECTION}").write_text(f".so man{SECTION}/{name}.{SECTION}\n", encoding="utf-8")
    print(f"{len(names) + len(ALIASES)} pages in {folder}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
