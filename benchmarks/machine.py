"""The machine that the measurements were taken on, and what else it was doing."""

from __future__ import annotations

import os
import platform
from pathlib import Path

import confluent_kafka


def describe() -> dict[str, object]:
    """Return the hardware and the versions that matter."""
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "cpu": _cpu_model(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(int(memory) / (1 << 20), 1),
        "kernel": ".".join(platform.release().split(".")[:2]),
        "python": platform.python_version(),
        "librdkafka": confluent_kafka.libversion()[0],
        "confluent_kafka": confluent_kafka.version()
        if callable(confluent_kafka.version)
        else confluent_kafka.__version__,
    }


def load() -> float:
    """Return the load average of the last minute."""
    return os.getloadavg()[0]


def busy() -> float:
    """Return the CPU seconds that all processes together have used since boot."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, soft = (int(field) for field in fields[:7])
    return (user + nice + system + irq + soft) / os.sysconf("SC_CLK_TCK")


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
