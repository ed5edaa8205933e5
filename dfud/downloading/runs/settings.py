"""What the user wants of runs."""

from __future__ import annotations

from typing import NamedTuple

BAG, PLAIN = "bag", "plain"  # a folder of BagIt, or nothing but the files


class RunSettings(NamedTuple):
    """How a run lies in its place."""

    layout: str
    with_ro_crate: bool  # with `ro-crate-metadata.json`
