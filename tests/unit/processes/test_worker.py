"""What every worker process does first, in real processes."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import textwrap
from pathlib import Path


def test_a_worker_does_not_outlive_its_supervisor() -> None:
    program = textwrap.dedent("""
        import os, signal
        from dfud.processes.worker import init_worker
        supervisor = os.getpid()
        if os.fork() == 0:
            init_worker("a-very-long-name", supervisor)
            os.write(1, b"%d" % os.getpid())
            while True:
                signal.pause()
        os.wait()
        """)
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        worker = int(os.read(process.stdout.fileno(), 20))
        assert Path(f"/proc/{worker}/comm").read_text() == "dfud:a-very-lon\n"
        end = os.pidfd_open(worker)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGIO, signal.SIGPIPE):
            os.kill(worker, number)
        assert not select.select([end], [], [], 0.2)[0], "only the supervisor reacts to these"
        process.kill()
        assert select.select([end], [], [], 10)[0]
        os.close(end)


def test_a_worker_whose_supervisor_has_ended_already_exits() -> None:
    program = 'from dfud.processes.worker import init_worker; init_worker("x", 1 << 30); print("alive")'
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=30, check=False)
    assert (done.returncode, done.stdout) == (1, b"")
