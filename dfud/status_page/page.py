"""The page about the uploads from one directory."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import NamedTuple

from dfud.status_page.document import document, made_anew
from dfud.status_page.markup import Html, element, name, text, time
from dfud.status_page.topic import TopicPage, section


class Making(NamedTuple):
    """How a page is made."""

    directory: str  # absolute path of what is uploaded
    host: str  # where it is made
    now: datetime
    every_s: float | None = None  # until it is made anew; None for never


def page(making: Making, topics: Sequence[TopicPage]) -> str:
    """Return the page about the uploads from a directory."""
    worst = [level for topic in topics for level, _ in topic.findings[:1] if level != "ok"]
    verdict = f"{worst[0]}: " if worst else ""
    title = f"{verdict}upload of {making.directory} ({making.host})"
    return document(title, making.every_s, _header(making), *_contents(topics))


def _header(making: Making) -> Html:
    heading = element("h1", text("Upload of "), name(making.directory))
    where = text(f" on {making.host}, from LOGS alone.{made_anew(making.every_s)}")
    made = element("p", text("Made "), time(making.now.isoformat()), where, class_="soft")
    return element("header", heading, made)


def _contents(topics: Sequence[TopicPage]) -> Iterator[Html]:
    if len(topics) > 1:
        links = [
            element("li", element("a", name(topic.status.topic), href=f"#topic-{number}"))
            for number, topic in enumerate(topics, 1)
        ]
        yield element("nav", element("ul", *links), aria_label="Topics")
    nothing = element("p", text("Nothing has been uploaded from here yet."))
    yield element("main", *([section(topic, number) for number, topic in enumerate(topics, 1)] or [nothing]))
