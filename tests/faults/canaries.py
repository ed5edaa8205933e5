"""Files that only root or a third user may read: attackers must not have dfud change them, or copy them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from tests.faults.scene import Scene
from tests.faults.tally import Tally
from tests.helpers.reader import Message
from tests.helpers.users import NOBODY

_MAX_READ = 1 << 30  # bytes: an attacker's larger file is empty


class Canaries:
    """The folder of these files, as it was when they were made."""

    def __init__(self, scene: Scene) -> None:
        self.path = scene.path("outside")
        self.path.mkdir()
        self.marks: list[bytes] = []  # what is in the files
        for name, uid in (("roots", 0), ("somebodys", NOBODY - 1)):
            mark = scene.random.randbytes(16).hex().encode()
            (self.path / name).write_bytes(b"%b\n" % mark)
            (self.path / name).chmod(0o600)
            os.chown(self.path / name, uid, uid)
            self.marks.append(mark)
        self._before = self._snapshot()

    def check(
        self, tally: Tally, directories: list[Path], messages: Iterable[Message] = (), texts: Iterable[str] = ()
    ) -> None:
        """Check that they are as they were, and that nothing of them is in directories, messages and texts."""
        after = self._snapshot()
        changed = sorted(
            name for name in self._before.keys() | after.keys() if self._before.get(name) != after.get(name)
        )
        tally.require(not changed, f"changed outside: {changed}")
        leaked = {message.key for message in messages if self._are_in(b"\n".join(_all_bytes(message)))}
        tally.require(not leaked, f"they are on the topic: {leaked}")
        tally.require(not any(self._are_in(text.encode()) for text in texts), "what is in them was printed")
        copies = [path for directory in directories for path in self._copies(directory)]
        tally.require(not copies, f"they were copied to {copies}")

    def _are_in(self, data: bytes) -> bool:
        return any(mark in data for mark in self.marks)

    def _snapshot(self) -> dict[str, object]:
        """Return what is in the folder, and the folder itself: contents, modes, owners and times."""
        found: dict[str, object] = {}
        for path in (self.path, *self.path.iterdir()):
            status = path.lstat()
            content = path.read_bytes() if path.is_file() else b""
            extended = {name: os.getxattr(path, name) for name in os.listxattr(path)}
            found[path.name] = content, extended, status.st_mode, status.st_uid, status.st_gid, status.st_mtime_ns
        return found

    def _copies(self, directory: Path) -> list[Path]:
        """Return the files below a directory, in LOGS too, that hold a mark; not further names of these files."""
        originals = {path.stat().st_ino for path in self.path.iterdir()}
        found = []
        for folder, _, names in os.walk(directory):
            for path in (Path(folder, name) for name in names):
                status = path.lstat()
                is_read = stat.S_ISREG(status.st_mode) and status.st_size < _MAX_READ
                if is_read and status.st_ino not in originals and self._are_in(path.read_bytes()):
                    found.append(path)
        return found


def owned_directory(scene: Scene) -> Path:
    """Make a directory, and a LOGS in it, that belong to another user."""
    directory = scene.directory()
    (directory / "LOGS").mkdir()
    for path in (directory, directory / "LOGS"):
        os.chown(path, NOBODY, NOBODY)
    return directory


def _all_bytes(message: Message) -> list[bytes]:
    return [message.key, message.value or b"", *map(os.fsencode, message.headers), *message.headers.values()]
