"""Too little memory, and too few file descriptors."""

from __future__ import annotations

import os
import resource
from pathlib import Path

import psutil

from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import Upload, command, upload_once, uploading

_CGROUPS = Path("/sys/fs/cgroup")


def limit_cgroup(scene: Scene, tally: Tally, times: int) -> None:
    """Move a producer to a control group with too little memory: the kernel kills it."""
    for _ in range(times):
        group = _make_group(scene)
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 4, 8_000_000)
        try:
            with uploading(directory, scene.slow_config(), topic, "--upload_existing") as upload:
                upload.wait_for("broken into")
                (group / "cgroup.procs").write_text(str(upload.wait_for_worker("producer-0").pid))
                tally.times += 1
                scene.fill(directory, 20, 8_000_000, "more")
                text = upload.quit()
        finally:
            group.rmdir()
        tally.require("producer-0 was killed by SIGKILL" in text, "the kernel did not kill it")
        scene.check(tally, directory, topic)


def _make_group(scene: Scene) -> Path:
    """Create a control group limited to 1 MB of memory. Raises UnavailableError."""
    name = f"dfud-{os.getpid()}-{scene.random.getrandbits(32)}"
    for top, limit in ((_CGROUPS / "memory", "memory.limit_in_bytes"), (_CGROUPS, "memory.max")):
        group = top / name
        try:
            group.mkdir()
        except OSError:
            continue
        try:
            (group / limit).write_text(str(1 << 20))
            return group
        except OSError:
            group.rmdir()
    raise UnavailableError("cannot create a control group for memory")


def start_with_few_descriptors(scene: Scene, tally: Tally, times: int) -> None:
    """Start dfud with random small limits of file descriptors."""
    _start_with_little(scene, tally, [f"--nofile={scene.random.randrange(8, 60)}" for _ in range(times)])


def start_with_little_memory(scene: Scene, tally: Tally, times: int) -> None:
    """Start dfud with random small limits of the address space."""
    _start_with_little(scene, tally, [f"--as={scene.random.randrange(50, 1500) << 20}" for _ in range(times)])


def _start_with_little(scene: Scene, tally: Tally, limits: list[str]) -> None:
    """Start dfud with each of these limits: it works, or says in a line or two why it does not."""
    directory, topic = scene.directory(), scene.topic()
    for number, limit in enumerate(limits):
        scene.fill(directory, 3, 100_000, f"new{number}-")
        upload = Upload(["prlimit", limit, *command(directory, scene.config(), topic, "--once")])
        try:
            status, text = upload.end()
        finally:
            upload.close()
        tally.times += 1
        tally.require(status in (0, 1, 2), f"{limit}: it ended with {status}: {text}")
        tally.require("Traceback" not in text, f"{limit}: {text}")
        tally.require(status == 0 or text.strip() != "", f"{limit}: it does not say why")
    with tally.recovering():
        upload_once(directory, scene.config(), topic)
    scene.check(tally, directory, topic)


def take_descriptors_away(scene: Scene, tally: Tally, times: int) -> None:
    """Lower the limit of file descriptors of all processes while they run, then restore it."""
    for _ in range(times):
        directory, topic = scene.directory(), scene.topic()
        scene.fill(directory, 3, 8_000_000)
        with uploading(directory, scene.slow_config(), topic, "--upload_existing") as upload:
            upload.wait_for("broken into")
            processes = [psutil.Process(upload.process.pid), *upload.workers().values()]
            before = resource.prlimit(upload.process.pid, resource.RLIMIT_NOFILE)
            for process in processes:
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, (3, before[1]))
            tally.times += 1
            scene.fill(directory, 20, 100_000, "more")
            (directory / "folder").mkdir()
            scene.fill(directory / "folder", 20, 100_000)
            upload.wait_for("cannot write")
            for process in processes:
                resource.prlimit(process.pid, resource.RLIMIT_NOFILE, before)
            with tally.recovering():
                upload.wait_for("works again")
            text = upload.quit()
        tally.require("Traceback" not in text, text)
        scene.check(tally, directory, topic)


FAULTS = [
    Fault("the OOM killer kills a worker", limit_cgroup, times=3, quick=1),
    Fault("too little memory at the start", start_with_little_memory, times=20, quick=1),
    Fault("too few file descriptors at the start", start_with_few_descriptors, times=20, quick=1),
    Fault("too few file descriptors while running", take_descriptors_away, times=3, quick=1),
]
