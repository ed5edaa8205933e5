"""A clock that is set back."""

from __future__ import annotations

import signal

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.uploading import uploading

_HOUR_NS = 3_600 * 10**9


def set_back(scene: Scene, tally: Tally, times: int) -> None:
    """Add files that are not detected before a kill and that, by the clock, are older than the run."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(), topic) as upload:
            upload.wait_for_worker("watcher").send_signal(signal.SIGSTOP)
            scene.fill(directory, 20, 40_000)
            upload.kill()
        lock = directory / "LOGS" / f".upload_to_{topic}.lock"
        began, rest = lock.read_text().split("\n", 1)
        lock.write_text(f"{int(began) + _HOUR_NS:0{len(began)}d}\n{rest}")
        tally.times += 1
        with uploading(directory, scene.config(), topic) as upload:
            upload.quit()
        scene.check(tally, directory, topic)


FAULTS = [
    Fault(
        "the clock is set back by an hour, then a kill -9", set_back, times=3, quick=1,
        injected="the start of the run, as recorded in LOGS, is set forward",
    ),
]  # fmt: skip
