"""Starting a command of dfud in a process of its own, with the Python and the dfud of this process.

``python -m dfud`` would look for every module in the current directory first. A topic may have brought a file
``click.py`` into it.
"""

from __future__ import annotations

import os
import sys

from dfud.processes import isolated_start
from dfud.processes.service_manager import take_service_manager

OWN_COMMAND = (sys.executable, isolated_start.__file__)  # the arguments of ``dfud`` follow


def own_environment() -> dict[str, str]:
    """Return this process's environment without the current directory in PYTHONPATH, where "" stands for it, too.

    Python imports ``sitecustomize`` from there before any code of ours runs. If systemd waits for this process to
    be ready, the command must not say that it is.
    """
    environment = dict(os.environ)
    take_service_manager(environment)
    entries = environment.pop("PYTHONPATH", "").split(os.pathsep)
    kept = [entry for entry in entries if entry and not isolated_start.is_current_directory(entry)]
    if kept:
        environment["PYTHONPATH"] = os.pathsep.join(kept)
    return environment
