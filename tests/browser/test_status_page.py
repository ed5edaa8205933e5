"""The page of ``dfud status --html`` in a real browser: narrow and wide, light and dark, with 100,000 files."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timezone

import pytest
from browser import Browser, browser, find_chromium
from sample_logs import write_sample

from dfud.core.tables import CompletedRow, format_row
from dfud.logs.lock import DirectoryLock

PROGRAM = find_chromium()
pytestmark = pytest.mark.skipif(PROGRAM is None, reason="there is no Chromium")
HARM = (
    "<script>window.harm=1</script>", "<img src=x onerror=window.harm=1>", '"><svg onload=window.harm=1>',
    "\u202egnp.exe", "a" * 255, "z\u0301\u0301\u0301\u0301" * 20, "</style><style>*{display:none}",
)  # fmt: skip


@pytest.fixture(scope="module")
def url(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The page of a run that has completed 100,000 files, and some whose names are to do harm."""
    directory = tmp_path_factory.mktemp("run42")
    logs = write_sample(directory, 100_000, datetime.now(timezone.utc))
    now = datetime.now(timezone.utc).isoformat()
    with open(logs.completed, "a", encoding="utf-8", newline="") as table:
        table.writelines(
            format_row(CompletedRow(name.replace("/", "\\"), 1, 1, 1, 1, "0" * 32, now, now)) for name in HARM
        )
    page = directory.parent / "page.html"
    lock = DirectoryLock.take(logs, logs.lock, "being shown")
    words = [sys.executable, "-m", "dfud", "status", str(directory), "--html", str(page)]
    subprocess.run(words, check=True)
    lock.close()
    return page.as_uri()


@pytest.fixture(scope="module")
def window() -> Iterator[Browser]:
    assert PROGRAM is not None
    with browser(PROGRAM) as opened:
        yield opened


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [360, 1600])
def test_it_fits_and_loads_nothing_else(window: Browser, url: str, width: int, scheme: str) -> None:
    window.open(url, width, scheme=scheme)
    assert window.evaluate("document.documentElement.scrollWidth") == width
    requests = [
        event["params"]["request"]["url"] for event in window.events if "request" in event.get("params", {})
    ]
    assert [request for request in requests if not request.startswith("data:")] == [url]
    assert [
        event for event in window.events if event["method"] in ("Log.entryAdded", "Runtime.exceptionThrown")
    ] == []
    assert window.evaluate("document.querySelectorAll('code').length") == 1000 - len(HARM)
    ground = window.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == {"light": "rgb(255, 255, 255)", "dark": "rgb(20, 23, 26)"}[scheme]


@pytest.mark.parametrize("width", [360, 1600])
def test_the_charts_can_be_read(window: Browser, url: str, width: int) -> None:
    window.open(url, width)
    boxes = window.evaluate("""[...document.querySelectorAll('svg.plot')].map(plot => {
        const box = each => { const it = each.getBoundingClientRect(); return [it.left, it.right, it.height]; };
        return [box(plot), [...plot.querySelectorAll('rect')].map(box),
                [...plot.querySelectorAll('text')].map(box).filter(each => each[2] > 0)];
    })""")
    assert len(boxes) == 2
    for (left, right, _), bars, labels in boxes:
        assert len(bars) > 10
        assert all(left <= bar[0] < bar[1] <= right + 1 and bar[2] >= 1 for bar in bars)
        assert any(after[0] - before[1] > 3 * (before[1] - before[0]) for before, after in zip(bars, bars[1:])), (
            "a gap"
        )
        assert len(labels) >= 2
        assert all(before[1] < after[0] for before, after in zip(labels, labels[1:])), "labels do not overlap"
        assert all(height >= 12 for _, _, height in labels), "they are not scaled down"


def test_no_script_runs_whoever_wrote_it(window: Browser, url: str) -> None:
    window.open(url, 1600)
    window.evaluate(
        "document.body.append(Object.assign(document.createElement('script'), {text: 'window.harm = 1'}))"
    )
    window.evaluate("document.body.insertAdjacentHTML('beforeend', '<img src=x onerror=\"window.harm = 1\">')")
    assert window.evaluate("window.harm") is None
    assert "\\u202egnp.exe" in window.evaluate("document.body.innerText")
