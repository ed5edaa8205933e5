"""Write the commands into the documentation site as ``-h`` shows them: with their groups of options and examples.

sphinx-click calls the functions here with what it has made of a command, as lines of reStructuredText.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click
from man_pages import exit_statuses, one_line
from sphinx.application import Sphinx

from dfud.commands.command import Command, Group

_MARKUP = re.compile(r"([\\*`|_])")


def connect(app: Sphinx) -> None:
    """Have the functions called."""
    app.connect("sphinx-click-process-description", _describe)
    app.connect("sphinx-click-process-options", _list_options)
    app.connect("sphinx-click-process-epilog", _show_examples)


def escape(text: str) -> str:
    """Return text that reStructuredText shows as it is."""
    return _MARKUP.sub(r"\\\1", text)


def _describe(_app: Sphinx, context: click.Context, lines: list[str]) -> None:
    paragraphs = [one_line(each) for each in inspect.cleandoc(context.command.help or "").split("\n\n")]
    statuses = exit_statuses(paragraphs)
    lines[:] = []
    for paragraph in paragraphs:
        text = paragraph.partition("Exit status: ")[0].rstrip() if statuses else paragraph
        lines += [escape(text), ""] if text else []
    if statuses:
        lines += ["Exit status:", ""]
        lines += [f"- **{status}**: {escape(meaning)}" for status, meaning in statuses]
        lines.append("")


def _list_options(_app: Sphinx, context: click.Context, lines: list[str]) -> None:
    command = context.command
    if not isinstance(command, Command):
        return
    groups = command.grouped_options(context)
    lines[:] = []
    for title, records in groups.items():
        lines += [f".. rubric:: {title}", "   :class: option-group", ""] if len(groups) > 1 else []
        for names, text in records:
            lines += [f".. option:: {names}", "", f"   {escape(one_line(text))}", ""]


def _show_examples(_app: Sphinx, context: click.Context, lines: list[str]) -> None:
    lines += _examples(context)


def _examples(context: click.Context) -> Iterator[str]:
    command = context.command
    if not isinstance(command, (Command, Group)) or not command.examples:
        return
    yield from (".. rubric:: Examples", "")
    for what, arguments in command.examples:
        words = " ".join((context.command_path, arguments)).rstrip()
        yield from (f"{escape(what)}:", "", ".. code-block:: sh", "", f"   {words}", "")
