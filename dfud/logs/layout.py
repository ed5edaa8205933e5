"""Where everything in ``DIR/LOGS`` lies."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator

from dfud.core.names import LOGS

LOG_FILE = "DataFileUploadDirectory.log"
ROWS_OF_A_SHARD = 1000
# "upload_to_" + topic + "_in_progress.csv", with the temporary file's own additions, must stay under 255 bytes.
MAX_TOPIC_CHARS = 200

_LOCK_OR_IN_PROGRESS = re.compile(r"\.upload_to_(.+)\.lock|upload_to_(.+)_in_progress\.csv")
_COMPLETED = re.compile(r"uploaded_to_(.+)\.csv")
_SHARD_OF = re.compile(r"(.+?)_p[0-9a-f]+(?:_\d+){0,2}")  # OpenMSIStream's, too


class LogsFolder:
    """The names in LOGS that belong to one topic."""

    def __init__(self, directory: str, topic: str) -> None:
        self.directory = directory
        self.path = os.path.join(directory, os.fsdecode(LOGS))
        self.topic = topic

    def _file(self, name: str) -> str:
        return os.path.join(self.path, name)

    @property
    def lock(self) -> str:
        return self._file(f".upload_to_{self.topic}.lock")

    @property
    def log(self) -> str:
        return self._file(LOG_FILE)

    @property
    def in_progress(self) -> str:
        return self._file(f"upload_to_{self.topic}_in_progress.csv")

    @property
    def completed(self) -> str:
        return self._file(f"uploaded_to_{self.topic}.csv")

    def shard(self, producer: int, sequence: int) -> str:
        """Return the path of the shard `sequence` (from 1) of producer `producer` (from 0)."""
        return self._file(f"uploaded_to_{self.topic}_p{producer}_{sequence}.csv")

    def shards(self) -> list[str]:
        """List the shards that there are, oldest first as far as their names tell."""
        found = [
            (int(match[3] or 0), int(match[2]), self._file(match[0]))
            for match in self._matches(self._shard_names())
            if not self._is_topic(match[1])
        ]
        return [path for _, _, path in sorted(found)]

    def openmsistream_tables(self) -> list[str]:
        """List the completed tables that OpenMSIStream may have written: its one table, and one of each thread."""
        pattern = re.compile(rf"uploaded_to_({re.escape(self.topic)}(?:_p[0-9a-f]+(?:_\d+_\d+)?)?)\.csv")
        found = []
        for match in self._matches(pattern):
            in_progress = LogsFolder(os.path.dirname(self.path), match[1]).in_progress
            if match[1] == self.topic or not os.path.exists(in_progress):  # else that is another topic's table
                found.append(self._file(match[0]))
        return sorted(found)

    def next_sequence(self) -> int:
        """Return a number that no shard has, higher than all; those that are another topic's tables count, too."""
        return 1 + max((int(match[3] or 0) for match in self._matches(self._shard_names())), default=0)

    def is_free(self, producer: int, sequence: int) -> bool:
        """Tell whether a shard's name is not that of another topic's table."""
        return not self._is_topic(f"{self.topic}_p{producer}_{sequence}")

    def owner_of_completed(self) -> str | None:
        """Return the topic that has a shard where our completed table would be, which a first run can meet."""
        match = re.fullmatch(r"(.+)_p[0-9]+(?:_[0-9]+)?", self.topic)
        if (
            match
            and os.path.exists(self.completed)
            and not self._is_topic(self.topic)
            and self._is_topic(match[1])
        ):
            return match[1]
        return None

    def _shard_names(self) -> re.Pattern[str]:
        return re.compile(rf"uploaded_to_({re.escape(self.topic)}_p([0-9]+)(?:_([0-9]+))?)\.csv")

    def _is_topic(self, name: str) -> bool:
        """Tell whether a topic has been uploaded to from here: a table of "T_p0" could be a shard of T's."""
        other = LogsFolder(os.path.dirname(self.path), name)
        return os.path.exists(other.lock) or os.path.exists(other.in_progress)

    def leftovers(self) -> list[str]:
        """List the temporary files that a crash left beside this topic's tables."""
        topic = re.escape(self.topic)
        pattern = re.compile(
            rf"\.upload(?:_to_{topic}_in_progress|ed_to_({topic}(?:_p[0-9]+(?:_[0-9]+)?)?))\.csv\.[0-9]+\.tmp"
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
    """List the topics that LOGS of `directory` tells of; OSError if it can't be listed.

    A run leaves a lock file and an in-progress table; where only completed tables are left, "T_p0" is taken for
    a shard of T.
    """
    names = os.listdir(LogsFolder(directory, "").path)
    found = {match[1] or match[2] for match in map(_LOCK_OR_IN_PROGRESS.fullmatch, names) if match}
    for match in map(_COMPLETED.fullmatch, names):
        if match and match[1] not in found:
            shard = _SHARD_OF.fullmatch(match[1])
            found.add(shard[1] if shard else match[1])
    return sorted(found)
