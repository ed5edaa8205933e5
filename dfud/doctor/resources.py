"""What the system leaves to this user: descriptors, processes and memory, against what an upload needs."""

from __future__ import annotations

import contextlib
import math
import os
import resource
from collections.abc import Iterator
from typing import NamedTuple

from dfud.core.sizes import shown_size
from dfud.doctor.diagnosis import Diagnosis, fine, stops, warning
from dfud.uploading.descriptors import descriptor_fault, descriptor_limit, needed_descriptors
from dfud.uploading.options import UploadOptions
from dfud.uploading.preflight import memory_shares, option_faults

# Counted in uploads with 1 to 16 threads, and rounded up.
_TASKS, _TASKS_OF_LANE = 4, 12  # processes and threads: librdkafka has several in each producer
_PROCESS_BYTES = 15_000_000

_CGROUPS = "/sys/fs/cgroup"  # version 2: cgroups(7)


class Need(NamedTuple):
    """What an upload uses at most."""

    tasks: int  # processes and threads
    memory: int  # bytes


def need_of(options: UploadOptions) -> Need:
    """Return what the upload needs."""
    n, shares = options.n_threads, memory_shares(options)
    processes = (2 + 2 * n) * _PROCESS_BYTES
    return Need(
        _TASKS + n * _TASKS_OF_LANE,
        processes + n * (shares.ring + shares.librdkafka),
    )


def check_resources(options: UploadOptions) -> Iterator[Diagnosis]:
    """Compare what an upload needs with what there is."""
    faults = [stops("options", fault) for fault in option_faults(options)]
    yield from faults
    need = need_of(options)
    yield _judge_descriptors(options)
    yield from _judge_tasks(need.tasks)
    if not faults:
        yield judge_memory(need.memory, available_memory())


def _judge_descriptors(options: UploadOptions) -> Diagnosis:
    fault = descriptor_fault(options)
    if fault:
        return stops("descriptors", fault)
    limit = descriptor_limit()
    allowed = "without a limit" if math.isinf(limit) else f"{limit:.0f} allowed"
    return fine("descriptors", f"about {needed_descriptors(options)} needed in a process, {allowed}")


def _judge_tasks(needed: int) -> Iterator[Diagnosis]:
    limit = resource.getrlimit(resource.RLIMIT_NPROC)[0]
    if limit != resource.RLIM_INFINITY and os.geteuid() != 0:  # root may have more
        n_used = _count_tasks(os.geteuid())
        if n_used + needed > limit:
            enough = 2 * (n_used + needed)
            yield stops(
                "processes",
                f"about {needed} processes and threads needed, {n_used:,} of {limit:,} in use by this user; "
                f"ulimit -u {enough}, or LimitNPROC={enough} in the unit of its service",
            )
            return
    room = _room("pids.max", "pids.current")
    if room is not None and room < needed:
        yield stops(
            "processes",
            f"about {needed} processes and threads needed, {room} left in this control group; raise its pids.max "
            "(TasksMax in the unit of a service, --pids-limit of a container)",
        )
        return
    yield fine("processes", f"about {needed} processes and threads needed, and allowed")


def judge_memory(needed: int, available: int | None) -> Diagnosis:
    """Compare the bytes that an upload uses at most with those that are available; None if that is not known."""
    text = f"up to {shown_size(needed)} needed"
    if available is None:
        return fine("memory", f"{text}; how much is available is not known")
    text = f"{text}, {shown_size(available)} available"
    if needed <= available:
        return fine("memory", text)
    return warning("memory", f"{text}: the kernel may kill its processes; lower --queue_max_size or --n_threads")


def available_memory() -> int | None:
    """Return how many bytes can still be used, by the system and by the control groups of this process."""
    amounts = [_room("memory.max", "memory.current")]
    with contextlib.suppress(OSError, ValueError, IndexError), open("/proc/meminfo", encoding="ascii") as file:
        amounts += [int(line.split()[1]) * 1024 for line in file if line.startswith("MemAvailable:")]
    return min((amount for amount in amounts if amount is not None), default=None)


def _room(limit_name: str, used_name: str) -> int | None:
    """Return what the control groups of this process still grant; None without a limit."""
    path = "/"
    with contextlib.suppress(OSError), open("/proc/self/cgroup", encoding="utf-8", errors="replace") as file:
        path = next((line.strip()[3:] for line in file if line.startswith("0::")), "/")
    rooms = []
    while True:
        folder = _CGROUPS + path.rstrip("/")
        with contextlib.suppress(OSError, ValueError):  # there is no limit ("max"), or no such file
            limit = int(_read(f"{folder}/{limit_name}"))
            used = int(_read(f"{folder}/{used_name}"))
            rooms.append(max(0, limit - used + _reclaimable(folder, used_name)))
        if path in ("/", ""):
            return min(rooms, default=None)
        path = os.path.dirname(path)


def _reclaimable(folder: str, used_name: str) -> int:
    """Return how much of the memory of a group is cached files, which the kernel gives back."""
    if used_name != "memory.current":
        return 0
    fields = dict(line.split() for line in _read(f"{folder}/memory.stat").splitlines())
    return int(fields.get("inactive_file", 0)) + int(fields.get("active_file", 0))


def _read(path: str) -> str:
    with open(path, encoding="ascii") as file:
        return file.read()


def _count_tasks(uid: int) -> int:
    """Return how many processes and threads a user has, as far as this process may look at them."""
    n_tasks = 0
    for process in filter(str.isdigit, os.listdir("/proc")):
        with contextlib.suppress(OSError):
            if os.stat(f"/proc/{process}").st_uid == uid:
                n_tasks += len(os.listdir(f"/proc/{process}/task"))
    return n_tasks
