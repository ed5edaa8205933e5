"""Let a broker go by a clock that is wrong: a library that is loaded before libc, compiled here."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from unittest import mock

from tests.helpers.unavailable import UnavailableError

_SOURCE = r"""
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static volatile int64_t *ahead_s;

__attribute__((constructor)) static void open_clock(void) {
    const char *path = getenv("CLOCK_FILE");
    int file = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    void *page = file < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, file, 0);
    if (page != MAP_FAILED) ahead_s = page;
    if (file >= 0) close(file);
}

int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) *(void **)&real = dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    if (result == 0 && ahead_s && id == CLOCK_REALTIME) at->tv_sec += *ahead_s;
    return result;
}

int gettimeofday(struct timeval *at, void *zone) {
    struct timespec now;
    (void)zone;
    clock_gettime(CLOCK_REALTIME, &now);
    at->tv_sec = now.tv_sec;
    at->tv_usec = now.tv_nsec / 1000;
    return 0;
}
"""


class OtherClock:
    """The clock of the programs that are started while it is in `use`."""

    def __init__(self, folder: Path) -> None:
        """Compile the library in `folder`; UnavailableError if there is no compiler."""
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise UnavailableError("there is no C compiler")
        source, self._library, self._file = folder / "clock.c", folder / "clock.so", folder / "clock"
        source.write_text(_SOURCE)
        subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", self._library, source, "-ldl"], check=True)
        self._file.write_bytes(bytes(8))

    @contextmanager
    def use(self) -> Iterator[None]:
        """Let programs that are started in this block go by this clock."""
        with mock.patch.dict(os.environ, LD_PRELOAD=str(self._library), CLOCK_FILE=str(self._file)):
            yield

    def set_ahead(self, seconds: int) -> None:
        """Let it be ahead of the machine's clock by so much, or behind if negative."""
        with self._file.open("r+b") as file:
            file.write(struct.pack("=q", seconds))
