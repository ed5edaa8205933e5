"""kill -9 of downloads that share a topic by a consumer group."""

from __future__ import annotations

import time
from pathlib import Path

from dfud.broker import client_config
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally, count_chunks
from tests.helpers import downloading
from tests.helpers.downloading import contents
from tests.helpers.uploading import Upload, command, tree, wait_until

_MEMBERS, _PARTITIONS = 4, 8
_SOON = {"session.timeout.ms": "6000", "heartbeat.interval.ms": "200"}  # until a member that is dead is missed
_MAX_DELAY_S = 3.0  # of a kill, from the start of an upload that takes about as long
_MAX_RECOVERY_S = 90.0


def kill_members(scene: Scene, tally: Tally, times: int) -> None:
    """Kill one of four members while files of all sizes arrive, and start it again with its directory."""
    config = client_config.write(scene.path("group.config"), scene.kafka.bootstrap, consumer=_SOON)
    slow, source, topic = scene.slow_config(), scene.directory(), scene.topic(_PARTITIONS)
    copies = [scene.path("copy") for _ in range(_MEMBERS)]
    group = ("--consumer_group_id", f"shared-{topic}", "--n_threads", "1")
    words = [downloading.command(copy, config, topic, *group) for copy in copies]
    members = [Upload(each) for each in words]
    try:
        for number in range(times):
            scene.fill(source, 30, 200_000, f"large{number}-")
            scene.fill(source, 100, 5_000, f"small{number}-")
            upload = Upload(command(source, slow, topic, "--once"))
            try:
                time.sleep(scene.random.uniform(0.0, _MAX_DELAY_S))  # the fault has to strike at a random instant
                chosen = scene.random.randrange(_MEMBERS)
                members[chosen].kill()
                members[chosen].close()
                members[chosen] = Upload(words[chosen])
                status, text = upload.end()
                tally.require(status == 0, text)
            finally:
                upload.close()
            tally.times += 1
            wanted = tree(source)
            with tally.recovering():
                wait_until(lambda wanted=wanted: wanted.keys() <= _arrived(copies).keys(), _MAX_RECOVERY_S)  # type: ignore[misc]
        _check(tally, tree(source), copies)
    finally:
        for member in members:
            member.close()


def _arrived(copies: list[Path]) -> dict[bytes, bytes]:
    found: dict[bytes, bytes] = {}
    for copy in copies:
        if copy.exists():
            found.update(contents(copy))
    return found


def _check(tally: Tally, wanted: dict[bytes, bytes], copies: list[Path]) -> None:
    """Count the files that are nowhere, and the copies that are not what was uploaded."""
    for path, content in wanted.items():
        found = [copy / path.decode() for copy in copies if (copy / path.decode()).exists()]
        tally.files += 1
        tally.chunks += count_chunks(content)
        tally.twice += max(0, len(found) - 1) * count_chunks(content)
        if not found:
            tally.lost += count_chunks(content)
            tally.complain(f"{path!r} is in none of the directories")
        for place in found:
            tally.require(place.read_bytes() == content, f"{place} is not what was uploaded")


FAULTS = [Fault("kill -9 of one of four downloads that share a topic", kill_members, times=30)]
