"""The page of ``dfud fleet --html`` in a real browser: narrow and wide, light and dark, with hostile names."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from browser import Browser, browser, find_chromium

from dfud.fleet.page import page
from dfud.fleet.programs import Programs
from dfud.fleet.snapshot import take_snapshot
from dfud.logs.status_check import Limits
from dfud.logs.upload_status import Backlog, BrokerStatus, OldestFile
from tests.helpers.heartbeats import NOW_S, heartbeat
from tests.helpers.statuses import AT

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")
HARM = (
    "<script>window.harm=1</script>", "<img src=x onerror=window.harm=1>", '"><svg onload=window.harm=1>',
    "\u202egnp.exe", "a" * 255, "z\u0301\u0301\u0301\u0301" * 20, "</style><style>*{display:none}",
)  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of 300 uploads, and of some whose names are to do harm."""
    programs = Programs()
    programs.add(heartbeat(f"{n}", NOW_S - n, host=f"host-{n}") for n in range(300))
    for word in HARM:
        troubles: dict[str, Any] = {
            "broker": BrokerStatus("unreachable", word, AT),
            "backlog": Backlog(3, 3, 10**9),
            "oldest": OldestFile(word, AT, 4_000.0),
        }
        programs.add([heartbeat(word, host=word, directory=word, topic=word, **troubles)])
    limits = Limits(600.0, 3600.0, 10**9, 10**8, True, None)
    fleet = take_snapshot(NOW_S, ("H", None), 86_400.0, programs.all(), None, limits, HARM)
    path: Path = tmp_path_factory.mktemp("fleet") / "page.html"
    path.write_text(page(fleet, "here"), encoding="utf-8")
    return path.as_uri()


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    assert PROGRAM is not None
    with browser(PROGRAM) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_loads_nothing_and_does_no_harm(window: Browser, url: str, width: int, scheme: str) -> None:
    window.open(url, width, scheme=scheme)
    assert window.evaluate("document.documentElement.scrollWidth") == width
    requests = [
        event["params"]["request"]["url"] for event in window.events if "request" in event.get("params", {})
    ]
    assert [request for request in requests if not request.startswith("data:")] == [url]
    assert window.evaluate("window.harm") is None
    assert window.evaluate("document.querySelectorAll('tbody tr').length") == 300 + len(HARM)
    assert "\\u202egnp.exe" in window.evaluate("document.body.innerText")
