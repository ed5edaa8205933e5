"""Children of the tests heed signals, however the tests themselves were started."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]

SHOW = "import signal; print([signal.getsignal(number) is signal.SIG_IGN for number in (1, 2, 3, 15)])"
TESTS = """
import subprocess, sys
from tests.helpers.dispositions import default_dispositions_for_children

for _ in range(2):
    subprocess.run([sys.executable, "-c", sys.argv[1]], check=True)
    default_dispositions_for_children()
"""


def test_children_do_not_inherit_ignored_signals() -> None:
    ignoring = ["sh", "-c", 'trap "" HUP INT QUIT TERM; exec "$@"', "sh"]
    done = subprocess.run(
        [*ignoring, sys.executable, "-c", TESTS, SHOW],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    before, after = done.stdout.splitlines()
    assert before == str([True] * 4)
    assert after == str([False] * 4)
