"""Run ``python -m dfud``: the same as the console script ``dfud``."""

from __future__ import annotations

from dfud.commands import main

if __name__ == "__main__":
    main()
