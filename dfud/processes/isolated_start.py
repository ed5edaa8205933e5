"""Run ``dfud`` with nothing to be imported from the current directory: ``isolated_start.py ARGUMENT...``.

This runs as a script. The option ``-P`` of Python 3.11 would do half of it; ``-I`` would not find what PYTHONPATH
or the user's own site-packages have. dfud itself is loaded from where this script lies, even if that is the
current directory.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys


def is_current_directory(entry: str) -> bool:
    """Return whether an entry of a search path means the current directory, under any name."""
    return _is_same(entry or ".", ".")


def _is_same(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def main() -> None:
    """Load the package dfud that this script belongs to, and run its command."""
    here = os.path.dirname(os.path.abspath(__file__))  # Python puts it first
    sys.path[:] = [entry for entry in sys.path if not _is_same(entry, here) and not is_current_directory(entry)]
    path = os.path.join(os.path.dirname(here), "__init__.py")
    spec = importlib.util.spec_from_file_location("dfud", path)
    assert spec is not None
    assert spec.loader is not None
    package = sys.modules["dfud"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(package)
    importlib.import_module("dfud.__main__").main()


if __name__ == "__main__":
    main()
