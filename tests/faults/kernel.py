"""The limits of inotify(7), and events that are faster than folders can be watched."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.stopping import stopped_process
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import uploading

_QUEUE = Path("/proc/sys/fs/inotify/max_queued_events")


def overflow(scene: Scene, tally: Tally, times: int) -> None:
    """Stop the watcher while more events happen than the kernel queues."""
    events = int(_QUEUE.read_text())
    if events > 100_000:
        raise UnavailableError(f"{_QUEUE} is {events}: too many to cause")
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        (directory / "folder").mkdir()
        with uploading(directory, scene.config(), topic) as upload:
            upload.wait_for("watching")
            with stopped_process(upload.wait_for_worker("watcher").pid):
                for number in range(events // 2 + 100):  # each is created and closed
                    folder = directory / "folder" if number % 2 else directory
                    (folder / f"{number}").write_bytes(b"%d" % number)
                (directory / "made").mkdir()
                scene.fill(directory / "made", 10, 1_000)
                tally.times += 1
            with tally.recovering():
                upload.wait_for("inotify queue overflowed: rescanning")
                upload.quit()
        scene.check(tally, directory, topic)


def _limited(setting: str, number: int) -> list[str]:
    """Return a command that runs another one in a user namespace with a limit. Raises UnavailableError."""
    words = ["unshare", "--user", "--map-root-user"]
    file = f"/proc/sys/user/{setting}"
    by = [*words, "sh", "-c", f'echo {number} > {file} && exec "$@"', "sh"]
    done = subprocess.run([*by, "true"], capture_output=True, encoding="utf-8", check=False)
    if done.returncode:
        raise UnavailableError(f"no user namespace with {file}: {done.stderr.strip()}")
    return by


def run_out_of_watches(scene: Scene, tally: Tally, times: int) -> None:
    """Create more folders than may be watched, before or after the start."""
    by = _limited("max_inotify_watches", 20)
    for number in range(times):
        directory, topic = scene.directory(), scene.topic()
        if number % 2:
            _make_folders(scene, directory, "before")
        with uploading(directory, scene.config(), topic, "--upload_existing", by=by) as upload:
            _make_folders(scene, directory, "later")
            tally.times += 1
            upload.wait_for("raise the sysctl fs.inotify.max_user_watches; polling until")
            _make_folders(scene, directory, "polled")
            with tally.recovering():
                upload.quit()
        scene.check(tally, directory, topic)


def _make_folders(scene: Scene, directory: Path, name: str) -> None:
    for number in range(15):
        folder = directory / f"{name}{number}" / "deeper"
        folder.mkdir(parents=True)
        scene.fill(folder, 2, 20_000)


def run_out_of_instances(scene: Scene, tally: Tally, times: int) -> None:
    """Allow no inotify instance."""
    by = _limited("max_inotify_instances", 0)
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        with uploading(directory, scene.config(), topic, by=by) as upload:
            tally.times += 1
            _make_folders(scene, directory, "new")
            with tally.recovering():
                text = upload.quit()
        tally.require("raise the sysctl fs.inotify.max_user_instances; polling until" in text, text)
        scene.check(tally, directory, topic)


def make_folders_and_files(scene: Scene, tally: Tally, times: int) -> None:
    """Create nested folders with a file in the innermost, faster than they can be watched."""
    directory, topic = scene.directory(), scene.topic()
    with uploading(directory, scene.config(), topic) as upload:
        for number in range(times):
            inner = directory / f"a{number}" / "b" / "c"
            inner.mkdir(parents=True)
            (inner / "file").write_bytes(b"%d" % number)
            tally.times += 1
        with tally.recovering():
            upload.say("quit")
            status, text = upload.end(300)
    tally.require(status == 0, text)
    scene.check(tally, directory, topic)


FAULTS = [
    Fault("the inotify queue overflows", overflow, times=3, quick=1),
    Fault("max_user_watches is reached", run_out_of_watches, times=4, quick=1),
    Fault("max_user_instances is reached", run_out_of_instances, times=2, quick=1),
    Fault("mkdir -p a/b/c and immediately a file in it", make_folders_and_files, times=10_000, quick=100),
]
