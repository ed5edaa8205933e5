"""A page: one file of HTML that loads nothing, runs nothing, and is made anew as often as it says."""

from __future__ import annotations

import hashlib
import math
from base64 import b64encode
from collections.abc import Iterator
from importlib.resources import files

from dfud import __version__
from dfud.core.elapsed import duration
from dfud.status_page.markup import Html, element, text, void


def document(title: str, every_s: float | None, *content: Html) -> str:
    """Return a page with this content; it is made anew every `every_s`, or never."""
    css = files(__package__).joinpath("page.css").read_text(encoding="utf-8")
    footer = element("footer", element("p", text(f"dfud {__version__}")))
    head = element("head", *_head(title, every_s, css))
    whole = element("html", head, element("body", *content, footer), lang="en")
    return f"<!DOCTYPE html>\n{whole}\n"


def made_anew(every_s: float | None) -> str:
    """Return a sentence about how often it is made, with a space before it; "" if it is made once."""
    if every_s is None:
        return ""
    every = duration(max(1.0, every_s))
    return f" It is made anew every {every}: if that is long ago, nobody makes it any more."


def _head(title: str, every_s: float | None, css: str) -> Iterator[Html]:
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = f"default-src 'none'; style-src 'sha256-{digest}'; img-src data:; base-uri 'none'; form-action 'none'"
    yield void("meta", charset="utf-8")
    yield void("meta", http_equiv="Content-Security-Policy", content=policy)
    yield void("meta", name="viewport", content="width=device-width, initial-scale=1")
    yield void("meta", name="color-scheme", content="light dark")
    yield void("meta", name="referrer", content="no-referrer")
    yield void("meta", name="robots", content="noindex")
    if every_s is not None:
        yield void("meta", http_equiv="refresh", content=max(1, math.ceil(every_s)))
    yield void("link", rel="icon", href="data:,")  # or a browser asks the server for one
    yield element("title", text(title))
    yield element("style", Html(css))  # no stranger's word is in it
