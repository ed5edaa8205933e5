"""The file of an option such as --html: where it may be, and that it is replaced as a whole."""

from __future__ import annotations

import click

from dfud.errors import UsageError
from dfud.logs.layout import LogsFolder
from dfud.logs.replaced_file import ReplacedFile

STANDARD_OUTPUT = "-"


class OutputFile:
    """Responsible for what an option writes: into a file, or to standard output for "-"."""

    def __init__(
        self,
        option: str,
        path: str,
        suffixes: tuple[str, ...],
        is_repeated: bool,
        logs: LogsFolder | None = None,
    ) -> None:
        """Write to `path`, again and again if `is_repeated`; it may be where `ReplacedFile` says.

        Raises UsageError if that cannot be done; nothing is written yet.
        """
        self._option = option
        self._file: ReplacedFile | None = None
        if path == STANDARD_OUTPUT:
            if is_repeated:
                raise UsageError(f"{option} - prints once: name a file to use it with --watch")
            return
        self._file = ReplacedFile(path, logs)
        if not self._file.name.endswith(suffixes):
            raise UsageError(
                f"{option} {path}: its name must end in {suffixes[0]}, so that nothing else is overwritten by "
                "mistake"
            )
        self._file.check(option)

    def write(self, content: bytes) -> None:
        """Write the content; UsageError if that fails."""
        if self._file is None:
            click.echo(content, nl=False)
            return
        try:
            self._file.replace([content])
        except OSError as error:
            raise UsageError(f"cannot write {self._option} {self._file.path}: {error.strerror or error}") from None
