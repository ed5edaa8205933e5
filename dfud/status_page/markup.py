"""HTML by construction: text and values of attributes are escaped here, and nowhere else.

Names of files, causes and times were written by strangers. What only `Html` may be is not a plain text, so that a
type checker finds what was not escaped.
"""

from __future__ import annotations

from html import escape
from typing import NewType, Union

from dfud.core.elapsed import parse_time
from dfud.core.text import escaped

Html = NewType("Html", str)
Value = Union[str, int]  # of an attribute

_MAX_CHARS = 1000  # of a text; what is longer was made to be long
_KEPT = 480  # of its start, and of its end


def text(plain: str) -> Html:
    r"""Return a text that a browser shows as it is, and that changes nothing around it.

    >>> text("<b>&\u202e")
    '&lt;b&gt;&amp;\\u202e'
    """
    return Html(escape(escaped(shortened(plain))))


def name(plain: str) -> Html:
    """Return a name of a stranger's choice, whose direction of writing stays its own."""
    return element("bdi", text(plain))


def time(iso: str) -> Html:
    """Return an ISO 8601 time to the second; as it is if it is none."""
    parsed = parse_time(iso)
    if parsed is None:
        return name(iso)
    whole = parsed.replace(microsecond=0).isoformat()
    return element("time", text(f"{whole[:10]} {whole[11:19]} {whole[19:]}"), datetime=whole)


def element(tag: str, *content: Html, **attributes: Value) -> Html:
    """Return an element; an underscore in the name of an attribute is a dash, and one at its end is left out."""
    return Html(f"<{tag}{_attributes(attributes)}>{''.join(content)}</{tag}>")


def void(tag: str, **attributes: Value) -> Html:
    """Return an element that has no content and no end tag."""
    return Html(f"<{tag}{_attributes(attributes)}>")


def join(*parts: Html) -> Html:
    """Return the parts, one after the other."""
    return Html("".join(parts))


def shortened(plain: str) -> str:
    """Return a text without its middle if it is too long to be read."""
    if len(plain) <= _MAX_CHARS:
        return plain
    return f"{plain[:_KEPT]} [{len(plain) - 2 * _KEPT:,} characters left out] {plain[-_KEPT:]}"


def _attributes(attributes: dict[str, Value]) -> str:
    return "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escape(escaped(str(value)))}"'
        for key, value in attributes.items()
    )
