"""The page: one file of HTML that loads nothing, runs nothing, and says when it was made."""

from __future__ import annotations

import hashlib
import math
from base64 import b64encode
from collections.abc import Iterator, Sequence
from datetime import datetime
from importlib.resources import files
from typing import NamedTuple

from dfud import __version__
from dfud.core.elapsed import duration
from dfud.status_page.markup import Html, element, name, text, time, void
from dfud.status_page.topic import TopicPage, section


class Making(NamedTuple):
    """How a page is made."""

    directory: str  # absolute path of what is uploaded
    host: str  # where it is made
    now: datetime
    every_s: float | None = None  # until it is made anew; None for never


def page(making: Making, topics: Sequence[TopicPage]) -> str:
    """Return the page about the uploads from a directory."""
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    body = element("body", _header(making), *_contents(topics), _footer())
    whole = element("html", element("head", *_head(making, topics, css)), body, lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def _head(making: Making, topics: Sequence[TopicPage], css: str) -> Iterator[Html]:
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    yield void("meta", charset="utf-8")
    yield void("meta", http_equiv="Content-Security-Policy", content=policy)
    yield void("meta", name="viewport", content="width=device-width, initial-scale=1")
    yield void("meta", name="color-scheme", content="light dark")
    yield void("meta", name="referrer", content="no-referrer")
    yield void("meta", name="robots", content="noindex")
    if making.every_s is not None:
        yield void("meta", http_equiv="refresh", content=max(1, math.ceil(making.every_s)))
    yield void("link", rel="icon", href="data:,")  # or a browser asks the server for one
    worst = [level for topic in topics for level, _ in topic.findings[:1] if level != "ok"]
    verdict = f"{worst[0]}: " if worst else ""
    yield element("title", text(f"{verdict}upload of {making.directory} ({making.host})"))
    yield element("style", Html(css))  # no stranger's word is in it


def _header(making: Making) -> Html:
    heading = element("h1", text("Upload of "), name(making.directory))
    again = ""
    if making.every_s is not None:
        every = duration(max(1.0, making.every_s))
        again = f" It is made anew every {every}: if that is long ago, nobody makes it any more."
    where = text(f" on {making.host}, from LOGS alone.{again}")
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


def _footer() -> Html:
    return element("footer", element("p", text(f"dfud {__version__}")))
