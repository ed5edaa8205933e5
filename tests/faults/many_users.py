"""Several users who publish files at once, with dfud as yet another user, to whom the kernel tells less."""

from __future__ import annotations

import itertools
import os
import shutil
import subprocess
from pathlib import Path

from tests.faults.file_systems import wait_until_versions_recorded
from tests.faults.scene import Fault, Scene
from tests.faults.tally import Tally
from tests.helpers import publishing
from tests.helpers.publishing import WAYS, content, parts
from tests.helpers.uploading import Upload, command, tree
from tests.helpers.users import NOBODY, OtherUser, open_folder, other_user
from tests.helpers.verifying import verify

_WRITERS = (NOBODY - 1, NOBODY - 2, NOBODY - 3)
_MAX_END_S = 600.0


def publish_at_once(scene: Scene, tally: Tally, times: int) -> None:
    """Let three users publish so many files, in five ways, while a fourth uploads: none is lost, none is half."""
    seed, topic = str(scene.random.getrandbits(64)), scene.topic()
    jobs = list(itertools.product(_WRITERS, WAYS))
    each = times // len(jobs)
    with other_user() as user, open_folder() as folder:
        directory, script, config = folder / "data", folder / "publishing.py", folder / "config"
        directory.mkdir()
        directory.chmod(0o1777)
        (directory / "LOGS").mkdir()
        os.chown(directory / "LOGS", user.uid, user.uid)
        shutil.copy(publishing.__file__, script)
        shutil.copy(scene.config(), config)
        expected, written = {}, {}
        for (uid, way), number in itertools.product(jobs, range(each)):
            path = os.fsencode(f"{way}{uid}-{number}")
            expected[path] = data = content(f"{way}{uid}-", number, seed)
            written[path] = set(itertools.accumulate(parts(data))) if way == "append" else {data}
        upload = Upload(user.command(command(directory, config, topic)))
        try:
            upload.wait_for("watching")
            writers = [
                subprocess.Popen(_words(user, uid, script, directory, way, f"{way}{uid}-", each, seed))
                for uid, way in jobs
            ]
            statuses = [writer.wait() for writer in writers]
            assert not any(statuses), "a file could not be published"
            tally.times += each * len(jobs)
            with tally.recovering():
                wait_until_versions_recorded(directory, topic, _MAX_END_S)
            upload.say("quit")
            status, text = upload.end(_MAX_END_S)
            tally.require(status == 0, f"it exited with {status}: {text[-2000:]}")
        finally:
            upload.close()
        tally.require(tree(directory) == expected, "the directory is not as it was written")
        on_topic = scene.on_topic(topic)
        tally.check(expected, on_topic)
        tally.check_versions(written, on_topic)
        status, text = verify(directory, config, topic, seconds=_MAX_END_S)
        tally.require(status == 0, f"verify exited with {status}: {text[-2000:]}")


def _words(user: OtherUser, uid: int, script: Path, *arguments: object) -> list[str]:
    """Return the command line by which a user publishes files."""
    return [*user._replace(uid=uid).prefix, str(user.python), str(script), *map(str, arguments)]


FAULTS = [Fault("three users publish, a fourth uploads", publish_at_once, times=200_000, quick=600)]
