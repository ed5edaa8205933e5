"""The names of the files in ``DIR/LOGS``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from dfud.core.names import LOGS
from dfud.files.open_folder import OpenFolder

LOG_FILE = "DataFileUploadDirectory.log"
MAX_ROWS_PER_SHARD = 1000
# "upload_to_" + topic + "_in_progress.csv", with the additions of its temporary file, must stay below 255 bytes.
MAX_TOPIC_CHARS = 200

_NAMES_TOPIC = re.compile(
    r"\.upload_to_(.+)\.lock|upload_to_(.+)_in_progress\.csv|uploaded_to_([^~]+)~p[0-9]+_[0-9]+\.csv"
)
_COMPLETED = re.compile(r"uploaded_to_(.+)\.csv")
_OLD_SHARD_OF = re.compile(r"(.+?)_p[0-9a-f]+(?:_\d+){0,2}")  # OpenMSIStream's, too


class LogsFolder(OpenFolder):
    """The files in LOGS that belong to one topic, by their paths.

    LOGS lies in the directory that is uploaded, or in another one, the `state_dir`; then it holds a file that
    names the directory.
    """

    def __init__(self, directory: str, topic: str, state_dir: str | None = None) -> None:
        """Use LOGS of `directory`, whether it exists or not."""
        super().__init__(state_dir or directory, os.fsdecode(LOGS))
        self.directory = directory
        self.topic = topic
        self.is_elsewhere = state_dir is not None

    @property
    def lock(self) -> str:
        """The file that a run locks, and in which it records itself."""
        return self.file(_lock_name(self.topic))

    @property
    def spelling(self) -> str:
        """The file that says how the topic is spelled, where the file system ignores case."""
        return self.file(f".upload_to_{self.topic}.topic")

    @property
    def topic_id(self) -> str:
        """The file that says which topic of this name the tables are about."""
        return self.file(f".upload_to_{self.topic}.topic_id")

    @property
    def unproven(self) -> str:
        """The table of versions that may be the last of their paths on the topic, although none was completed."""
        return self.file(f".upload_to_{self.topic}.unproven")

    @property
    def index(self) -> str:
        """The index of the completed table, from which a start knows it sooner."""
        return self.file(f".upload_to_{self.topic}.index")

    @property
    def canary(self) -> str:
        """The file that is written again and again to see whether the upload notices."""
        return self.file(f".upload_to_{self.topic}.canary")

    @property
    def log(self) -> str:
        """The log file, which all topics share."""
        return self.file(LOG_FILE)

    @property
    def in_progress(self) -> str:
        """The table of the files that are not yet completely acknowledged."""
        return self.file(_in_progress_name(self.topic))

    @property
    def status(self) -> str:
        """The state of the present run, or of the last one."""
        return self.file(f"upload_to_{self.topic}_status.json")

    @property
    def completed(self) -> str:
        """The table of the files that are completely acknowledged."""
        return self.file(_completed_name(self.topic))

    @property
    def released(self) -> str:
        """The table of the files that were removed because all receivers have them."""
        return self.file(f"released_from_{self.topic}.csv")

    @property
    def release_lock(self) -> str:
        """The file that is locked while files are removed; it says where in the table the last ones begin."""
        return self.file(f".release_from_{self.topic}.lock")

    def shard(self, producer: int, sequence: int) -> str:
        """Return the path of the shard `sequence` (from 1) of producer `producer` (from 0).

        No topic's name may hold a "~": a shard is never another topic's completed table.
        """
        return self.file(f"uploaded_to_{self.topic}~p{producer}_{sequence}.csv")

    def shards(self, producer: int | None = None) -> list[str]:
        """List the shards, or only those of one producer, oldest first as far as their names show."""
        found = [
            (int(match[3] or 0), int(match[2]), self.file(match[0]))
            for match in self._shard_names()
            if producer in (None, int(match[2]))
        ]
        return [path for _, _, path in sorted(found)]

    def next_sequence(self) -> int:
        """Return a sequence number that is higher than that of any shard."""
        return 1 + max((int(match[3] or 0) for match in self._shard_names()), default=0)

    def _shard_names(self) -> Iterator[re.Match[str]]:
        """Yield the names of the shards, matched as (topic and producer, producer, sequence)."""
        pattern = re.compile(rf"uploaded_to_({re.escape(self.topic)}[~_]p([0-9]+)(?:_([0-9]+))?)\.csv")
        return (match for match in self._matches(pattern) if not self._is_topic(match[1]))

    def openmsistream_tables(self) -> list[str]:
        """List the completed tables that OpenMSIStream may have written: one, and one for each of its threads."""
        pattern = re.compile(rf"uploaded_to_({re.escape(self.topic)}(?:_p[0-9a-f]+(?:_\d+_\d+)?)?)\.csv")
        return sorted(
            self.file(match[0])
            for match in self._matches(pattern)
            # Not if it is another topic's table.
            if self._is_own(match[1]) or not self.exists(_in_progress_name(match[1]))
        )

    def _is_own(self, name: str) -> bool:
        """Return whether `name`, from the name of a file, is that of this topic."""
        return name == self.topic or (self.ignores_case and name.lower() == self.topic.lower())

    def _is_topic(self, name: str) -> bool:
        """Return whether `name` is a topic that was uploaded to from here.

        Older versions named a shard "T_p0_1", which may also be a topic with a completed table of its own.
        """
        return self.exists(_lock_name(name)) or self.exists(_in_progress_name(name))

    def leftovers(self) -> list[str]:
        """List the temporary files that a crash left beside the tables of this topic."""
        topic = re.escape(self.topic)
        pattern = re.compile(
            rf"\.(?:\.upload_to_{topic}\.(?:lock|topic|topic_id|unproven|index|canary)|upload_to_{topic}_(?:in_progress\.csv|status\.json)"
            rf"|uploaded_to_({topic}(?:[~_]p[0-9]+(?:_[0-9]+)?)?)\.csv)\.[0-9]+\.tmp"
        )
        return [
            self.file(match[0])
            for match in self._matches(pattern)
            if match[1] is None or self._is_own(match[1]) or not self._is_topic(match[1])
        ]

    def _matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        if self.ignores_case:  # it may even list all names in lower case
            pattern = re.compile(pattern.pattern, re.IGNORECASE)
        for name in self.names():
            match = pattern.fullmatch(name)
            if match:
                yield match


def names_topic(name: str) -> bool:
    """Return whether a file of this name is the lock or a table of a topic."""
    return _NAMES_TOPIC.fullmatch(name) is not None or _COMPLETED.fullmatch(name) is not None


def topics(folder: OpenFolder) -> list[str]:
    """List the topics that have files in LOGS; OSError if it cannot be listed.

    A run leaves a lock file and an in-progress table; if only completed tables are left, "T_p0" is assumed to be
    a shard of T, as older versions and OpenMSIStream named theirs.
    """
    names = folder.names()
    found = {match[match.lastindex or 0] for match in map(_NAMES_TOPIC.fullmatch, names) if match}
    for match in map(_COMPLETED.fullmatch, names):
        if match and match[1] not in found and "~" not in match[1]:
            shard = _OLD_SHARD_OF.fullmatch(match[1])
            found.add(shard[1] if shard else match[1])
    return sorted(found)


def _lock_name(topic: str) -> str:
    return f".upload_to_{topic}.lock"


def _in_progress_name(topic: str) -> str:
    return f"upload_to_{topic}_in_progress.csv"


def _completed_name(topic: str) -> str:
    return f"uploaded_to_{topic}.csv"
