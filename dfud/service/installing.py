"""Writing and removing the files of services, or printing what would be done."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence

from dfud.core.text import LAYOUT, escaped
from dfud.errors import DfudError, UsageError
from dfud.service.owned_file import OwnedFile, Present, keep_changed
from dfud.service.place import Place, call


def install_files(
    place: Place,
    files: Sequence[OwnedFile],
    commands: Sequence[list[str]],
    is_dry: bool,
    overwrite: bool,
    say: Callable[[str], None],
) -> None:
    """Write `files`, then run `commands` unless it is for an image; say what is done.

    Raises UsageError, before any is written, if somebody has changed one of them, and DfudError if one of them
    cannot be written.
    """
    present = [file.present() for file in files]
    changed = [file.path for file, what in zip(files, present) if what is Present.OTHER]
    if changed and not overwrite:
        raise UsageError(
            f"{', '.join(map(escaped, changed))}: not written by dfud, or changed since; --overwrite replaces it, "
            "and keeps yours as .bak"
        )
    for file, what in zip(files, present):
        if is_dry:
            say(f"# {escaped(file.path)}")
            say(escaped(file.content.decode(), LAYOUT))
        elif what is Present.SAME:
            say(f"{escaped(file.path)}: as it is to be")
        else:
            try:
                file.write()
            except OSError as error:
                raise DfudError(f"cannot write {file.path}: {error.strerror}") from None
            kept = f"; what you had is in {escaped(file.path)}.bak" if what is Present.OTHER else ""
            say(f"{escaped(file.path)}: written{kept}")
    _run_all(commands if place.is_live else [], is_dry, say)


def remove_files(
    paths: Sequence[str],
    before: Sequence[list[str]],
    after: Sequence[list[str]],
    is_dry: bool,
    say: Callable[[str], None],
) -> None:
    """Run the commands `before`, remove the files, and run those `after`; say what is done."""
    _run_all(before, is_dry, say)
    for path in paths:
        if not os.path.lexists(path):
            continue
        if is_dry:
            say(f"rm {escaped(path)}")
            continue
        try:
            if keep_changed(path):
                say(f"{escaped(path)}: you have changed it; it is {escaped(path)}.bak now")
            else:
                os.unlink(path)
                say(f"{escaped(path)}: removed")
        except OSError as error:
            raise DfudError(f"cannot remove {path}: {error.strerror}") from None
        _remove_empty(os.path.dirname(path), say)
    _run_all(after, is_dry, say)


def _remove_empty(folder: str, say: Callable[[str], None]) -> None:
    """Remove a folder of drop-ins unless somebody has put more into it."""
    if not folder.endswith(".d"):
        return
    if others := sorted(os.listdir(folder)):
        say(f"{escaped(folder)} stays, with {', '.join(map(escaped, others))}, which dfud has not written")
    else:
        os.rmdir(folder)


def _run_all(commands: Sequence[list[str]], is_dry: bool, say: Callable[[str], None]) -> None:
    for command in commands:
        say(" ".join(command))
        if not is_dry:
            call(command)
