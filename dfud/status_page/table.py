"""A table of a page."""

from __future__ import annotations

from collections.abc import Sequence

from dfud.status_page.markup import Html, element, text

Cell = tuple[str, Html]  # the class, and the content


def table(caption: str, columns: Sequence[str], rows: Sequence[Sequence[Cell]]) -> Html:
    """Return a table whose first column names its rows; it scrolls by itself where the screen is too narrow."""
    kinds = [kind for kind, _ in rows[0]]
    head = element(
        "tr", *(element("th", text(column), scope="col", class_=kind) for column, kind in zip(columns, kinds))
    )
    body = [
        element("tr", element("th", first, scope="row", class_=kind), *(_cell(*cell) for cell in rest))
        for (kind, first), *rest in rows
    ]
    whole = element("table", element("caption", text(caption)), element("thead", head), element("tbody", *body))
    return element("div", whole, class_="scroll", tabindex="0", role="region", aria_label=caption)


def _cell(kind: str, content: Html) -> Html:
    return element("td", content, class_=kind) if kind else element("td", content)
