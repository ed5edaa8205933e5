"""Root uploads from and downloads to directories whose owner attacks them: nothing outside is read or written."""

from __future__ import annotations

import itertools
import os
import time
from pathlib import Path

from tests.faults.canaries import Canaries, owned_directory
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers import downloading
from tests.helpers.attacking import Attacker, clean
from tests.helpers.reader import read_topic
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import Upload, command, upload_once
from tests.helpers.users import NOBODY
from tests.helpers.verifying import verify

_PAUSE_S = 0.05
_MAX_END_S = 120.0


def attack(scene: Scene, tally: Tally, times: int) -> None:
    """Attack an upload and a download for so many seconds, while honest files arrive; then let both finish."""
    if os.geteuid():
        raise UnavailableError("dfud has to be root, to be able to do harm")
    canaries, source, copy = Canaries(scene), owned_directory(scene), owned_directory(scene)
    honest = source / "honest"
    honest.mkdir()
    topic, config = scene.topic(), scene.config()
    victims = [
        _Victim(command(source, config, topic, "--upload_existing")),
        _Victim(downloading.command(copy, config, topic)),
    ]
    seed = scene.random.getrandbits(32)
    attackers = [
        Attacker(NOBODY, source, canaries.path, _upload_names(topic), seed),
        Attacker(NOBODY, copy, canaries.path, _download_names(topic), seed + 1),
    ]
    until = time.monotonic() + times
    try:
        for number in itertools.count():
            (honest / f"file{number}").write_bytes(scene.random.randbytes(scene.random.randint(0, 100_000)))
            # What an attacker would have a download put outside.
            records = downloading.native(b"folder/sent%d" % (number % 10), b"%d" % number, number)
            downloading.produce(scene.kafka.bootstrap, topic, records)
            for victim in victims:
                victim.keep_running()
            if time.monotonic() > until:
                break
            time.sleep(_PAUSE_S)  # the attack is a matter of time
    finally:
        for attacker in attackers:
            attacker.stop()
        texts = [victim.end() for victim in victims]
    tally.times += times
    canaries.check(tally, [source, copy], read_topic(scene.kafka.bootstrap, topic), texts)
    for directory in (source, copy):
        clean(directory)
    with tally.recovering():
        texts.append(upload_once(source, config, topic))
        texts.append(downloading.download_once(copy, config, topic))
    tally.require(
        not any("Traceback" in text or "internal error" in text for text in texts), "\n".join(texts)[-3000:]
    )
    expected = {os.fsencode(f"honest/{path.name}"): path.read_bytes() for path in honest.iterdir()}
    on_topic = scene.on_topic(topic)
    tally.check(expected, on_topic)
    missing = [path for path, data in expected.items() if not _has(copy / os.fsdecode(path), data)]
    tally.require(not missing, f"{len(missing)} files were not downloaded, such as {missing[:3]}")
    status, text = verify(source, config, topic, seconds=_MAX_END_S)
    tally.require(status == 0, f"verify exited with {status}: {text[-2000:]}")
    canaries.check(tally, [source, copy], read_topic(scene.kafka.bootstrap, topic), texts)


class _Victim:
    """A command that is started again when it ends: an attacker may well stop it."""

    def __init__(self, words: list[str]) -> None:
        self._words = words
        self._running = Upload(words)
        self._texts: list[str] = []

    def keep_running(self) -> None:
        """Start it again if it has ended."""
        if self._running.process.poll() is not None:
            self._texts.append(self._running.end()[1])
            self._running.close()
            self._running = Upload(self._words)

    def end(self) -> str:
        """Let it end; return what it has written."""
        try:
            if self._running.process.poll() is None:
                self._running.process.terminate()
            self._texts.append(self._running.end(_MAX_END_S)[1])
        finally:
            self._running.close()
        return "\n".join(self._texts)


def _has(path: Path, data: bytes) -> bool:
    return path.is_file() and path.read_bytes() == data


def _upload_names(topic: str) -> list[str]:
    table = f"uploaded_to_{topic}"
    names = [
        "DataFileUploadDirectory.log",
        f".upload_to_{topic}.lock",
        f".upload_to_{topic}.topic_id",
        f"upload_to_{topic}_in_progress.csv",
        f"upload_to_{topic}_status.json",
        f"{table}.csv",
        f"{table}~p0_1.csv",
        f"{table}~p1_1.csv",
        f"{table}_p0.csv",
    ]
    return [*names, *(f"{name}.bad" for name in names[3:]), *(f"{name}.bak" for name in names[3:])]


def _download_names(topic: str) -> list[str]:
    parts = f"download_from_{topic}"
    return [
        "DataFileDownloadDirectory.log",
        ".download.lock",
        f"{parts}_incomplete.csv",
        parts,
        f"{parts}/groups",
        f"{parts}/.lock",
    ]


FAULTS = [Fault("root works in a directory whose owner attacks it", attack, times=120, quick=2)]
