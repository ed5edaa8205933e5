"""Answers as text: on the console, and between markers in the documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import charts, paper, results
from benchmarks.answers import figure

_ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (_ROOT / "docs" / "performance.md", _ROOT / "README.md")
IMAGES = _ROOT / "docs" / "images"

# <!-- bench: NAME --> ... <!-- bench end -->, each on a line of its own
_PLACE = re.compile(r"(<!-- bench: (\S+) -->\n).*?(<!-- bench end -->)", re.DOTALL)


def plain(answer: dict[str, Any]) -> Iterator[str]:
    """Give the lines of an answer for the console."""
    table = [answer["table"]["columns"], *answer["table"]["rows"]]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for each in answer["verdicts"]:
        yield f"{each['what']}: {measured(each)}, target {bound(each)}: {'met' if each['met'] else 'MISSED'}"
    yield from answer["notes"]


def measured(verdict: dict[str, Any]) -> str:
    return f"{figure(verdict['value'])} {verdict['unit']}".strip()


def bound(verdict: dict[str, Any]) -> str:
    return f"{'at least' if verdict['at_least'] else 'at most'} {verdict['target']:g}"


def write(path: Path, say: Callable[[str], None]) -> None:
    """Write the charts of the results, and their tables between the markers of the documents."""
    answers = results.read(path)["questions"]
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, answer in answers.items():
        for number, chart in enumerate(answer["charts"]):
            image = IMAGES / f"{_image_name(name, number)}.svg"
            image.write_text(charts.render(chart), encoding="utf-8")
            say(f"wrote {image}")
    for document in DOCUMENTS:
        if document.exists():
            text = document.read_text(encoding="utf-8")
            new = fill(text, answers, "docs/images" if document.parent == _ROOT else "images")
            if new != text:
                document.write_text(new, encoding="utf-8")
                say(f"wrote {document}")


def fill(text: str, answers: dict[str, Any], images: str) -> str:
    """Put tables between the markers of a Markdown text; what has no answer stays as it is.

    The names: a question's, "targets", "machine", "paper", and a question's with "/chart" for its charts alone.
    """

    def place(found: re.Match[str]) -> str:
        name = found[2]
        if name == "targets":
            body = targets(answers)
        elif name == "machine":
            body = machine(answers)
        elif name == "paper":
            body = on_paper(answers)
        elif name.removesuffix("/chart") not in answers:
            return found[0]
        else:
            question = name.removesuffix("/chart")
            body = markdown(question, answers[question], images, chart_only=name.endswith("/chart"))
        return f"{found[1]}{body}{found[3]}"

    return _PLACE.sub(place, text)


def markdown(name: str, answer: dict[str, Any], images: str, chart_only: bool = False) -> str:
    """Return an answer as Markdown."""
    blocks = [
        f"![{chart['title']}]({images}/{_image_name(name, number)}.svg)"
        for number, chart in enumerate(answer["charts"])
    ]
    if not chart_only:
        blocks.append(_table(answer["table"]["columns"], answer["table"]["rows"]))
        blocks += [" ".join(answer["notes"])] if answer["notes"] else []
    return "\n\n".join(blocks) + "\n"


def targets(answers: dict[str, Any]) -> str:
    """Return one table of all verdicts."""
    rows = [
        [
            answer["title"],
            verdict["what"],
            measured(verdict),
            bound(verdict),
            "yes" if verdict["met"] else "**no**",
        ]
        for answer in answers.values()
        for verdict in answer["verdicts"]
    ]
    return _table(["measured", "what", "found", "target", "met"], rows) + "\n"


def machine(answers: dict[str, Any]) -> str:
    """Return a sentence on what it was measured on, a line for each machine."""
    texts = []
    for answer in answers.values():
        on = answer["machine"]
        text = (
            f"{on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB, Linux {on['kernel']}, "
            f"Python {on['python']}, librdkafka {on['librdkafka']}; {answer['asked']}"
        )
        if text not in texts:
            texts.append(text)
    return "".join(f"- {text}\n" for text in texts)


def on_paper(answers: dict[str, Any]) -> str:
    """Return the table of what one host does, and the costs that it is made from."""
    costs = paper.costs_of(answers)
    if costs is None:
        return "The questions `large` and `small` have no answers yet.\n"
    sentence = (
        f"Measured: {figure(costs.per_gib)} CPU seconds a GiB, {figure(1e6 * costs.per_file)} us a file, and "
        f"{figure(costs.broker_per_gib)} CPU seconds a GiB of the broker, start and end of the program included."
    )
    return f"{sentence}\n\n{_table(paper.host_columns(), paper.host_rows(costs))}\n"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [columns, *rows]]
    lines.insert(1, "|" + " --- |" * len(columns))
    return "\n".join(lines)


def _image_name(name: str, number: int) -> str:
    return f"bench-{name}" + (f"-{number + 1}" if number else "")
