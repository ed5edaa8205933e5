"""The names of the files in ``DIR/LOGS``."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from dfud.core.names import LOGS

LOG_FILE = "DataFileUploadDirectory.log"
MAX_ROWS_PER_SHARD = 1000
# "upload_to_" + topic + "_in_progress.csv", with the additions of its temporary file, must stay below 255 bytes.
MAX_TOPIC_CHARS = 200

_NAMES_TOPIC = re.compile(
    r"\.upload_to_(.+)\.lock|upload_to_(.+)_in_progress\.csv|uploaded_to_([^~]+)~p[0-9]+_[0-9]+\.csv"
)
_COMPLETED = re.compile(r"uploaded_to_(.+)\.csv")
_OLD_SHARD_OF = re.compile(r"(.+?)_p[0-9a-f]+(?:_\d+){0,2}")  # OpenMSIStream's, too


class LogsFolder:
    """The paths of the files in LOGS that belong to one topic."""

    def __init__(self, directory: str, topic: str) -> None:
        """Use LOGS in `directory`, whether it exists or not."""
        self.directory = directory
        self.path = os.path.join(directory, os.fsdecode(LOGS))
        self.topic = topic

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)

    @property
    def lock(self) -> str:
        """The file that a run locks, and in which it records itself."""
        return self._file(f".upload_to_{self.topic}.lock")

    @property
    def log(self) -> str:
        """The log file, which all topics share."""
        return self._file(LOG_FILE)

    @property
    def in_progress(self) -> str:
        """The table of the files that are not yet completely acknowledged."""
        return self._file(f"upload_to_{self.topic}_in_progress.csv")

    @property
    def completed(self) -> str:
        """The table of the files that are completely acknowledged."""
        return self._file(f"uploaded_to_{self.topic}.csv")

    def shard(self, producer: int, sequence: int) -> str:
        """Return the path of the shard `sequence` (from 1) of producer `producer` (from 0).

        No topic's name may hold a "~": a shard is never another topic's completed table.
        """
        return self._file(f"uploaded_to_{self.topic}~p{producer}_{sequence}.csv")

    def shards(self) -> list[str]:
        """List the shards, oldest first as far as their names show."""
        found = [(int(match[3] or 0), int(match[2]), self._file(match[0])) for match in self._shard_names()]
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
        found = []
        for match in self._matches(pattern):
            in_progress = LogsFolder(os.path.dirname(self.path), match[1]).in_progress
            if match[1] == self.topic or not os.path.exists(in_progress):  # not another topic's table
                found.append(self._file(match[0]))
        return sorted(found)

    def _is_topic(self, name: str) -> bool:
        """Return whether `name` is a topic that was uploaded to from here.

        Older versions named a shard "T_p0_1", which may also be a topic with a completed table of its own.
        """
        other = LogsFolder(os.path.dirname(self.path), name)
        return os.path.exists(other.lock) or os.path.exists(other.in_progress)

    def leftovers(self) -> list[str]:
        """List the temporary files that a crash left beside the tables of this topic."""
        topic = re.escape(self.topic)
        pattern = re.compile(
            rf"\.upload(?:_to_{topic}_in_progress|ed_to_({topic}(?:[~_]p[0-9]+(?:_[0-9]+)?)?))\.csv\.[0-9]+\.tmp"
        )
        return [
            self._file(match[0])
            for match in self._matches(pattern)
            if match[1] in (None, self.topic) or not self._is_topic(match[1])
        ]

    def _matches(self, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
        for name in os.listdir(self.path):
            match = pattern.fullmatch(name)
            if match:
                yield match


def topics(directory: str) -> list[str]:
    """List the topics that have files in LOGS of `directory`; OSError if it cannot be listed.

    A run leaves a lock file and an in-progress table; if only completed tables are left, "T_p0" is assumed to be
    a shard of T, as older versions and OpenMSIStream named theirs.
    """
    names = os.listdir(LogsFolder(directory, "").path)
    found = {match[match.lastindex or 0] for match in map(_NAMES_TOPIC.fullmatch, names) if match}
    for match in map(_COMPLETED.fullmatch, names):
        if match and match[1] not in found and "~" not in match[1]:
            shard = _OLD_SHARD_OF.fullmatch(match[1])
            found.add(shard[1] if shard else match[1])
    return sorted(found)
