"""A file server whose share is the directory: Samba, with clients that write as those of Windows do."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from dfud.broker.ports import HOST
from tests.faults.file_systems import POLLED, wait_until_versions_recorded
from tests.faults.mounting import mount
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers.file_server import SHARE, FileServer
from tests.helpers.smb import BATCH_OPLOCK, CREATE, LEASE, NO_OPLOCK, OPEN, SmbClient
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import Upload, command, tree, uploading
from tests.helpers.users import NOBODY, open_folder, other_user
from tests.helpers.verifying import verify

_CLIENTS = 3  # at once
_PIECE = 60_000  # bytes that a client writes at a time
_KERNEL_OPLOCKS = ("no", "yes")
_OLD_S = 1_600_000_000  # since 1970: what is copied keeps its time
_PAUSE_S = 3.0  # for which a client keeps a file open
_MAX_WAIT_S = 5.0  # smbd tries again each second while another program looks at the file


class Share(NamedTuple):
    """A directory that is shared."""

    server: FileServer
    directory: Path
    work: Path  # for what else a client needs


@contextmanager
def _share(scene: Scene, **settings: str) -> Iterator[Share]:
    """Share a directory that everyone may write to."""
    with open_folder() as folder:
        directory = folder / "data"
        directory.mkdir()
        directory.chmod(0o777)
        with FileServer(directory, folder / "samba", **settings) as server:
            yield Share(server, directory, folder)


def write_by_smbclient(scene: Scene, tally: Tally, times: int) -> None:
    """Let several clients put files, and open them again: for times and attributes, to rename or replace them."""
    for number in range(times):
        with _share(scene, kernel_oplocks=_KERNEL_OPLOCKS[number % 2]) as share:
            topic, config = scene.topic(), scene.config()
            with uploading(share.directory, config, topic) as upload:
                _put_files(scene, tally, share)
                with tally.recovering():
                    upload.quit()
            _check(scene, tally, share, config, topic)


def write_for_another_user(scene: Scene, tally: Tally, times: int) -> None:
    """Let clients put files of another user than dfud's, to whom the kernel does not say who writes."""
    with other_user(NOBODY - 1) as user:
        for _ in range(times):
            with _share(scene) as share:
                topic, config = scene.topic(), share.work / "config"
                shutil.copy(scene.config(), config)
                upload = Upload(user.command(command(share.directory, config, topic)))
                try:
                    upload.wait_for("watching")
                    _put_files(scene, tally, share)
                    with tally.recovering():
                        wait_until_versions_recorded(share.directory, topic)
                        upload.quit()
                finally:
                    upload.close()
                _check(scene, tally, share, config, topic)


def _put_files(scene: Scene, tally: Tally, share: Share) -> None:
    scripts = [_script(scene, share.work, client) for client in range(_CLIENTS)]
    with ThreadPoolExecutor(_CLIENTS) as pool:
        failures = pool.map(lambda script: share.server.run(script, share.work), scripts)
        tally.require(not (failed := "\n".join(filter(None, failures))), failed)
    tally.times += 1


def _script(scene: Scene, work: Path, client: int) -> list[str]:
    """Return the commands of one client, whose files are different each time."""
    commands = [f"mkdir scan{client}", f"cd scan{client}"]
    for number in range(10 if scene.is_quick else 100):
        sizes = (0, 1_000, 100_000, 1_000_000)
        before, after = (_random_file(scene, work, scene.random.choice(sizes)) for _ in range(2))
        time = f"20{scene.random.randrange(10, 25)}:01:02-03:04:05"
        commands += [
            f"put {before} ~part{number}.tmp",
            f"utimes ~part{number}.tmp {time} {time} {time} {time}",
            f"setmode ~part{number}.tmp +r",
            f"setmode ~part{number}.tmp -r",
            f"rename ~part{number}.tmp frame{number}.tif",
            f"put {before} notes{number}.txt",
            f"scopy notes{number}.txt copy{number}.txt",
            f"put {after} notes{number}.txt",
            f"utimes notes{number}.txt {time} {time} {time} {time}",
        ]
    return commands


def _random_file(scene: Scene, work: Path, size: int) -> str:
    path = work / f"local{scene.random.getrandbits(64):x}"
    path.write_bytes(scene.random.randbytes(size))
    return path.name


def write_with_oplocks(scene: Scene, tally: Tally, times: int) -> None:
    """Let a client write under oplocks and leases, which nobody but another client may take from it."""
    for number in range(times):
        with _share(scene, kernel_oplocks=_KERNEL_OPLOCKS[number % 2]) as share:
            topic, config = scene.topic(), scene.config()
            with uploading(share.directory, config, topic) as upload, share.server.client() as client:
                for count, oplock in itertools.product(
                    range(2 if scene.is_quick else 10), (NO_OPLOCK, BATCH_OPLOCK, LEASE)
                ):
                    name = f"run{count}-{oplock:x}"
                    was_taken = _save(scene, client, name, oplock)
                    tally.require(
                        not was_taken, f"the oplock of {name}, which was open, was taken from the client"
                    )
                _collide(scene, client)
                longest = max(client.waits, default=0.0)
                tally.require(longest < _MAX_WAIT_S, f"the client had to wait for {longest:.1f} s")
                tally.times += 1
                with tally.recovering():
                    upload.quit()
            _check(scene, tally, share, config, topic)


def _save(scene: Scene, client: SmbClient, name: str, oplock: int) -> bool:
    """Write a file as Explorer and office programs do: allocated first, renamed while open, opened again.

    Return whether the client had to give up its oplock while it kept the new file open.
    """
    content = scene.random.randbytes(scene.random.randrange(3 * _PIECE))
    file = client.open(f"{name}.tmp", CREATE, oplock)
    client.set_size(file, len(content))
    for offset in range(0, len(content), _PIECE):
        client.write(file, content[offset : offset + _PIECE], offset)
    was_taken = client.wait_for_break(file, _PAUSE_S)
    client.give_up_oplocks()
    client.rename(file, f"{name}.dat")
    client.set_times(file, _OLD_S)
    client.close(file)
    file = client.open(f"{name}.dat", oplock=oplock)
    client.set_times(file, _OLD_S + 1)
    client.close(file)
    file = client.open(f"{name}.dat", oplock=oplock)
    client.write(file, b"header", 0)
    client.set_times(file, _OLD_S + 2)
    client.give_up_oplocks()
    client.close(file)
    return was_taken


def _collide(scene: Scene, client: SmbClient) -> None:
    """Open files again as soon as they are closed, which is when dfud looks at them: it has to succeed.

    Some oplocks may be lost by that: who opens a file at the same moment as another cannot know of it.
    """
    for number in range(100 if scene.is_quick else 1_000):
        name = f"again{number % 10}"
        file = client.open(name, CREATE if number < 10 else OPEN, (NO_OPLOCK, BATCH_OPLOCK)[number % 2])
        client.write(file, b"%06d" % number, 6 * number)
        client.give_up_oplocks()
        client.close(file)


def cache_beyond_the_start(scene: Scene, tally: Tally, times: int) -> None:
    """Start ``--once`` while a client has an oplock and half a file in its cache: the whole file is sent."""
    for _ in range(times):
        with _share(scene, kernel_oplocks="yes") as share:
            topic, config = scene.topic(), scene.config()
            content = scene.random.randbytes(2 * _PIECE)
            with share.server.client() as client:
                file = client.open("cached", CREATE, BATCH_OPLOCK)
                client.write(file, content[:_PIECE], 0)
                tally.require(file.oplock == BATCH_OPLOCK, "the client was granted no oplock")
                upload = Upload(command(share.directory, config, topic, "--once"))
                try:
                    tally.times += 1
                    client.wait_for_break(file, 10.0)
                    time.sleep(1.0)  # the client writes what it has cached before it answers
                    client.write(file, content[_PIECE:], _PIECE)
                    client.close(file)  # with its oplock: without one it would be a file that is being written
                    with tally.recovering():
                        status, text = upload.end()
                finally:
                    upload.close()
            tally.require(status == 0, f"it exited with {status}: {text}")
            _check(scene, tally, share, config, topic)


def hold_at_the_end(scene: Scene, tally: Tally, times: int) -> None:
    """Quit while a client has a file open: it is named, the status is 1, and the next run sends all of it."""
    for number in range(times):
        with _share(scene, kernel_oplocks=_KERNEL_OPLOCKS[number % 2]) as share:
            topic, config = scene.topic(), scene.config()
            content = scene.random.randbytes(2 * _PIECE)
            with share.server.client() as client:
                with uploading(share.directory, config, topic) as upload:
                    file = client.open("open", CREATE)
                    client.write(file, content[:_PIECE], 0)
                    tally.times += 1
                    upload.say("quit")
                    status, text = upload.end()
                tally.require(status == 1 and "open" in text.partition("still being written")[0], text)
                client.write(file, content[_PIECE:], _PIECE)
                client.close(file)
            with tally.recovering(), uploading(share.directory, config, topic) as upload:
                upload.quit()
            _check(scene, tally, share, config, topic)


def mount_share(scene: Scene, tally: Tally, times: int) -> None:
    """Upload a share that is mounted, while others write to it by the server: it is polled."""
    for _ in range(times):
        with _share(scene) as share, _mounted(scene, share) as mounted:
            topic, config = scene.topic(), scene.config()
            with uploading(mounted, config, topic) as upload:
                script = _script(scene, share.work, 0)
                tally.require(not (failed := share.server.run(script, share.work)), failed)
                tally.times += 1
                with tally.recovering():
                    wait_until_versions_recorded(mounted, topic)
                text = upload.quit()
            tally.require(f"cifs {POLLED}" in text, text)
            _check(scene, tally, share, config, topic)


@contextmanager
def _mounted(scene: Scene, share: Share) -> Iterator[Path]:
    """Mount the share at a second directory. Raises UnavailableError."""
    where = scene.directory()
    if not _has_cifs():
        raise UnavailableError("the kernel has no cifs")
    options = f"ip={HOST},port={share.server.port},guest"
    with mount(where, "-t", "cifs", "-o", options, f"//{HOST}/{SHARE}"):
        yield where


def _has_cifs() -> bool:
    """Return whether the kernel knows this file system, once it has loaded the module."""
    if shutil.which("modprobe"):
        subprocess.run(["modprobe", "--quiet", "cifs"], stderr=subprocess.DEVNULL, check=False)
    return "\tcifs\n" in Path("/proc/filesystems").read_text(encoding="ascii")


def _check(scene: Scene, tally: Tally, share: Share, config: Path, topic: str) -> None:
    tally.check(tree(share.directory), scene.on_topic(topic))
    status, text = verify(share.directory, config, topic)
    tally.require(status == 0, f"verify exited with {status}: {text}")


FAULTS = [
    Fault("files put by smbclient", write_by_smbclient, times=4, quick=2),
    Fault("files put by smbclient, of another user", write_for_another_user, times=2),
    Fault("files written under oplocks and leases", write_with_oplocks, times=4),
    Fault("an oplock is held while --once starts", cache_beyond_the_start, times=3, quick=1),
    Fault("a client has a file open at the end", hold_at_the_end, times=2, quick=1),
    Fault("a share is mounted (CIFS)", mount_share, times=2, quick=1),
]
