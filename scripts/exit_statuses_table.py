"""Write the tables of docs/exit-statuses.md from the code: ``python scripts/exit_statuses_table.py``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import click
from man_pages import exit_statuses, one_line, pages

from dfud import errors
from dfud.commands.main import dfud

DOCUMENT = Path(__file__).resolve().parents[1] / "docs" / "exit-statuses.md"


def tables() -> dict[str, str]:
    """Return the tables in Markdown, by the words that mark their places."""
    return {
        "commands": "| command | status | meaning |\n|---|---|---|\n" + "".join(_of_commands()),
        "errors": "| error | status | meaning |\n|---|---|---|\n" + "".join(_of_errors()),
    }


def written_tables() -> dict[str, str]:
    """Return what stands in the document."""
    return dict(re.findall(r"<!-- (\w+) -->\n(.*?)<!-- \1 end -->", DOCUMENT.read_text("utf-8"), re.DOTALL))


def _of_commands() -> Iterator[str]:
    for page in pages(click.Context(dfud, info_name="dfud", **dfud.context_settings)):
        name = page.context.command_path
        for paragraph in inspect.cleandoc(page.context.command.help or "").split("\n\n"):
            text = one_line(paragraph)
            shown = f"`{name} --check`" if "--check" in text else f"`{name}`"
            for status, meaning in exit_statuses([text]):
                yield f"| {shown} | {status} | {meaning} |\n"


def _of_errors() -> Iterator[str]:
    for name, kind in vars(errors).items():
        if isinstance(kind, type) and issubclass(kind, errors.DfudError):
            yield f"| `{name}` | {kind.exit_status} | {one_line(inspect.getdoc(kind) or '')} |\n"


if __name__ == "__main__":
    document = DOCUMENT.read_text(encoding="utf-8")
    for word, table in tables().items():
        begin, end = f"<!-- {word} -->\n", f"<!-- {word} end -->"
        before, _, rest = document.partition(begin)
        document = before + begin + table + end + rest.partition(end)[2]
    DOCUMENT.write_text(document, encoding="utf-8")
