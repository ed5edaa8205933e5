"""Paths that are a file on the topic and a folder in the directory, or the reverse."""

from __future__ import annotations

import os
import stat

from dfud.files.confined import ConfinedTree


def find_clash(tree: ConfinedTree, path: bytes) -> bytes:
    """Return the path at which a file `path` and the directory clash, b"" for none.

    That is `path` itself if the directory has a folder there, or a path above it if the directory has a file
    there. A download that puts the one in place removes the other.
    """
    folder, _, name = path.rpartition(b"/")
    try:
        status = os.stat(name, dir_fd=tree.open_folder(folder), follow_symlinks=False)
    except FileNotFoundError:
        return b""
    except OSError:  # something on the way is no folder
        return _file_above(tree, path)
    return path if stat.S_ISDIR(status.st_mode) else b""


def _file_above(tree: ConfinedTree, path: bytes) -> bytes:
    return next((above for above in paths_above(path) if tree.stat_file(above) is not None), b"")


def paths_above(path: bytes) -> list[bytes]:
    """Return the folders that lead to `path`, the topmost first.

    >>> paths_above(b"a/b/c")
    [b'a', b'a/b']
    """
    return [path[:at] for at in range(len(path)) if path[at] == 47]
