"""What a browser would make of a page: its elements, with their attributes, and its text."""

from __future__ import annotations

from html.parser import HTMLParser

_VOID = {"meta", "link"}


class ParsedPage(HTMLParser):
    """Parses a page; `elements` are its start tags, `texts` what is between them, outside of the style."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.others: list[str] = []  # comments, declarations and the like
        self._open: list[str] = []
        self.feed(page)
        self.close()
        assert self._open == [], "each element is closed"

    @property
    def text(self) -> str:
        """All that is shown."""
        return "".join(self.texts)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        """Return the attributes of each element of this kind."""
        return [attributes for each, attributes in self.elements if each == tag]

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        assert len(dict(attrs)) == len(attrs), "no attribute twice"
        if tag not in _VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        if self._open and self._open[-1] != "style":
            self.texts.append(data)

    def handle_comment(self, data: str) -> None:
        self.others.append(data)

    def handle_decl(self, decl: str) -> None:
        self.others.append(decl)

    def handle_pi(self, data: str) -> None:
        self.others.append(data)

    def unknown_decl(self, data: str) -> None:
        self.others.append(data)
