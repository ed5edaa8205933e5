"""Files that are closed again and again."""

from __future__ import annotations

import time
from pathlib import Path

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Files, Tally
from tests.helpers.uploading import tree, uploading

_STEP = 200_000  # bytes
_MAX_SENT = 4  # times the final size
_WITHIN_S = 60.0  # of the last close, the final content has to be recorded


def append(scene: Scene, tally: Tally, times: int, pause_s: float) -> None:
    """Append to a file and close it, `times` times, with a pause after each."""
    directory, topic = scene.directory(), scene.topic()
    with uploading(directory, scene.config(), topic) as upload:
        _append(scene, directory / "growing", times, pause_s)
        tally.times += times
        size = (directory / "growing").stat().st_size
        with tally.recovering():
            upload.wait_for(rf"growing: all {-(-size // 16384)} chunks", _WITHIN_S)
        upload.quit()
    _check(scene, tally, directory, topic)


def append_slowly(scene: Scene, tally: Tally, times: int) -> None:
    """Append once a second."""
    append(scene, tally, times, 1.0)


def append_fast(scene: Scene, tally: Tally, times: int) -> None:
    """Append ten times a second."""
    append(scene, tally, times, 0.1)


def append_and_quit(scene: Scene, tally: Tally, times: int) -> None:
    """Quit at once after the last close: the final content is sent before the end."""
    directory, topic = scene.directory(), scene.topic()
    with uploading(directory, scene.config(), topic) as upload:
        _append(scene, directory / "growing", times, 0.02)
        tally.times += times
        with tally.recovering():
            upload.quit()
    _check(scene, tally, directory, topic)


def _append(scene: Scene, path: Path, times: int, pause_s: float) -> None:
    for _ in range(times):
        with path.open("ab") as file:
            file.write(scene.random.randbytes(_STEP))
        time.sleep(pause_s)  # the pace of the writer


def _check(scene: Scene, tally: Tally, directory: Path, topic: str) -> None:
    on_topic = scene.on_topic(topic)
    tally.check(tree(directory), on_topic)
    sent, size = _bytes_sent(on_topic), (directory / "growing").stat().st_size
    tally.require(sent <= _MAX_SENT * size, f"{sent} bytes were sent for a file of {size}")


def _bytes_sent(on_topic: Files) -> int:
    """Return the bytes of all versions, complete or not; repeated chunks count once."""
    return sum(
        len(value)
        for versions in on_topic.values()
        for version in versions.values()
        for value in version.chunks.values()
    )


FAULTS = [
    Fault("a file is appended to and closed every second", append_slowly, times=60),
    Fault("a file is appended to and closed every tenth of a second", append_fast, times=60, quick=20),
    Fault("a file is appended to and closed, until the end", append_and_quit, times=60, quick=30),
]
