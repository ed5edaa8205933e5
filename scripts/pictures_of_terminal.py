"""Draw what a terminal shows while an upload lasts, and at its end, as SVG; ``scripts/pictures`` starts it.

The numbers are examples; lines, colours and layout are those of the program.
"""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from dfud.display.activity import Activity, Fact, Transfer
from dfud.display.lines import ansi, paint
from dfud.display.summary import Summary
from dfud.display.terminal import Look

_IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"
_LOOK = Look(has_colour=True, has_unicode=True)
_FONTS = "DejaVu Sans Mono, Menlo, Consolas, monospace"
_HINT = 'type "check" or "c" to see what is in progress, "quit" or "q" to end'
_BEFORE = [
    "$ dfud upload run42 --config kafka.config --topic_name run42 --upload_existing",
    _HINT,
    "uploading /data/run42 to topic run42",
    "watching 12 folders",
    "scans/scan_0417.h5: broken into 262,144 chunks",
    "scans/scan_0418.h5: broken into 262,144 chunks",
    "images/frame_002311.tif: all 512 chunks acknowledged",
]
_ACTIVITY = Activity(
    (
        Fact("187.4 MB/s"),
        Fact("7 files/s"),
        Fact("26 s left"),
        Fact("310 files done"),
        Fact("31 to do"),
        Fact("broker reachable", "good"),
    ),
    0.43,
    "3.7 GB of 8.6 GB",
    (
        Transfer("scans/scan_0417.h5", 2_405_000_000, 4_294_967_296),
        Transfer("scans/scan_0418.h5", 1_245_000_000, 4_294_967_296),
        Transfer("images/frame_002312.tif", 6_291_456, 8_388_608),
    ),
    3,
)
_END = [
    "quit: finishing what is enqueued",
    "scans/scan_0417.h5: all 262,144 chunks acknowledged",
    "scans/scan_0418.h5: all 262,144 chunks acknowledged",
    Summary(341, 341, 8_613_040_128, 46.2, 0, 0).line(),
    "all files detected are on the topic and recorded",
    "$",
]
_SCREENS = {
    "terminal-upload": (80, [*_BEFORE, *(ansi(line, _LOOK) for line in paint(_ACTIVITY, 80, _LOOK))]),
    "terminal-narrow": (40, [ansi(line, _LOOK) for line in paint(_ACTIVITY, 40, _LOOK)]),
    "terminal-end": (80, _END),
}


def draw(columns: int, lines: list[str], name: str) -> str:
    """Return the picture of a terminal as SVG."""
    console = Console(width=columns, record=True, force_terminal=True, file=io.StringIO())
    for line in lines:
        console.print(Text.from_ansi(line), soft_wrap=False)
    svg = console.export_svg(title="dfud upload", theme=MONOKAI, unique_id=name)
    # No font from elsewhere: each text has its length, whatever the font is.
    return re.sub(r" *@font-face \{.*?\}\n", "", svg, flags=re.DOTALL).replace("Fira Code, monospace", _FONTS)


def main(arguments: list[str]) -> int:
    """Draw all of them into a folder; return the exit status."""
    folder = Path(arguments[0]) if arguments else _IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    for name, (columns, lines) in _SCREENS.items():
        (folder / f"{name}.svg").write_text(draw(columns, lines, name), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
