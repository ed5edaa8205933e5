"""Results as text: on the console, and between markers in the documents."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks import charts, projection, results
from benchmarks.benchmark import figure

_ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = (_ROOT / "docs" / "performance.md", _ROOT / "README.md")
IMAGES = _ROOT / "docs" / "images"

# From <!-- bench: NAME --> to <!-- bench end -->, each on a line of its own
_BLOCK = re.compile(r"(<!-- bench: (\S+) -->\n).*?(<!-- bench end -->)", re.DOTALL)


def plain(result: dict[str, Any]) -> Iterator[str]:
    """Yield the lines of a result for the console."""
    table = [result["table"]["columns"], *result["table"]["rows"]]
    widths = [max(len(row[column]) for row in table) for column in range(len(table[0]))]
    for row in table:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip()
    for verdict in result["verdicts"]:
        outcome = "met" if verdict["met"] else "MISSED"
        yield f"{verdict['what']}: {measured(verdict)}, target {bound(verdict)}: {outcome}"
    yield from result["notes"]


def measured(verdict: dict[str, Any]) -> str:
    """Return the figure of a verdict with its unit."""
    return f"{figure(verdict['value'])} {verdict['unit']}".strip()


def bound(verdict: dict[str, Any]) -> str:
    """Return the target of a verdict."""
    return f"{'at least' if verdict['at_least'] else 'at most'} {verdict['target']:g}"


def write(path: Path, announce: Callable[[str], None]) -> None:
    """Write the charts of the results, and their tables between the markers of the documents."""
    all_results = results.read(path)
    IMAGES.mkdir(parents=True, exist_ok=True)
    for name, result in all_results.items():
        for number, chart in enumerate(result["charts"]):
            image = IMAGES / f"{_image_name(name, number)}.svg"
            image.write_text(charts.render(chart), encoding="utf-8")
            announce(f"wrote {image}")
    for document in DOCUMENTS:
        if document.exists():
            text = document.read_text(encoding="utf-8")
            new = fill(text, all_results, "docs/images" if document.parent == _ROOT else "images")
            if new != text:
                document.write_text(new, encoding="utf-8")
                announce(f"wrote {document}")


def fill(text: str, all_results: dict[str, Any], images: str) -> str:
    """Put tables between the markers of a Markdown text; a block without a result stays as it is.

    A block is named after a benchmark (with "/chart" for its charts alone), or "targets", "machine" or
    "projection".
    """

    def block(match: re.Match[str]) -> str:
        name = match[2]
        if name == "targets":
            body = targets(all_results)
        elif name == "machine":
            body = machine(all_results)
        elif name == "projection":
            body = host_projection(all_results)
        elif name.removesuffix("/chart") not in all_results:
            return match[0]
        else:
            benchmark = name.removesuffix("/chart")
            body = markdown(benchmark, all_results[benchmark], images, chart_only=name.endswith("/chart"))
        return f"{match[1]}{body}{match[3]}"

    return _BLOCK.sub(block, text)


def markdown(name: str, result: dict[str, Any], images: str, chart_only: bool = False) -> str:
    """Return a result as Markdown."""
    blocks = [
        f"![{chart['title']}]({images}/{_image_name(name, number)}.svg)"
        for number, chart in enumerate(result["charts"])
    ]
    if not chart_only:
        blocks.append(_table(result["table"]["columns"], result["table"]["rows"]))
        blocks += [" ".join(result["notes"])] if result["notes"] else []
    return "\n\n".join(blocks) + "\n"


def targets(all_results: dict[str, Any]) -> str:
    """Return one table of all verdicts as Markdown."""
    rows = [
        [
            result["title"],
            verdict["what"],
            measured(verdict),
            bound(verdict),
            "yes" if verdict["met"] else "**no**",
        ]
        for result in all_results.values()
        for verdict in result["verdicts"]
    ]
    return _table(["benchmark", "what", "measured", "target", "met"], rows) + "\n"


def machine(all_results: dict[str, Any]) -> str:
    """Return a line for each machine that was measured on."""
    texts = []
    for result in all_results.values():
        on = result["machine"]
        text = (
            f"{on['cpu']}, {on['cores']} cores, {on['memory_gib']} GiB, Linux {on['kernel']}, "
            f"Python {on['python']}, librdkafka {on['librdkafka']}; {result['date']}"
        )
        if text not in texts:
            texts.append(text)
    return "".join(f"- {text}\n" for text in texts)


def host_projection(all_results: dict[str, Any]) -> str:
    """Return the table of what one host needs at a given rate, and the costs that it is computed from."""
    costs = projection.costs_of(all_results)
    if costs is None:
        return "The benchmarks `large` and `small` have no results yet.\n"
    sentence = (
        f"Measured: {figure(costs.per_gib)} CPU seconds per GiB and {figure(1e6 * costs.per_file)} us per file "
        f"for dfud, {figure(costs.broker_per_gib)} CPU seconds per GiB for the broker; "
        "program start and exit are included."
    )
    return f"{sentence}\n\n{_table(projection.host_columns(), projection.host_rows(costs))}\n"


def _table(columns: list[str], rows: list[list[str]]) -> str:
    lines = ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in [columns, *rows]]
    lines.insert(1, "|" + " --- |" * len(columns))
    return "\n".join(lines)


def _image_name(name: str, number: int) -> str:
    return f"bench-{name}" + (f"-{number + 1}" if number else "")
