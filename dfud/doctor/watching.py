"""How files are found: by the kernel's events, for which there are limits, or by polling."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dfud.core.text import counted, printable
from dfud.doctor.diagnosis import Diagnosis, fine, warning
from dfud.doctor.inotify_use import InotifyLimits, InotifyUse, inotify_limits, inotify_use
from dfud.uploading.options import UploadOptions
from dfud.watch.file_systems import FileSystems, is_local_kind, keeps_ctime, read_mountinfo

_FILE_SYSTEM, _INOTIFY = "file system", "inotify"
_INSTANCES = 2  # of the watcher: one for the folders, one for the directory itself
_DEFAULT_QUEUE = 16_384  # events, of Linux
_SPARE = 1.2  # times what is needed is what a limit is to be raised to


def check_file_systems(options: UploadOptions) -> Iterator[Diagnosis]:
    """Say what the directory lies on, and what is mounted below it."""
    if not os.path.isdir(options.directory):
        return
    systems = FileSystems(os.fsencode(os.path.realpath(options.directory)), read_mountinfo())
    yield _described(options.directory, systems.kind)
    for path, mount in sorted(systems.below().items()):
        yield _described(os.path.join(options.directory, printable(path)), mount.kind)


def _described(path: str, kind: str) -> Diagnosis:
    how = "the kernel reports all changes" if is_local_kind(kind) else "not all changes are reported: polling, too"
    ctime = (
        "" if keeps_ctime(kind) else "; it keeps no times of change: after an interruption all files are checked"
    )
    return fine(_FILE_SYSTEM, f"{path} is on {kind or 'an unknown file system'}: {how}{ctime}")


def check_inotify(
    options: UploadOptions, n_folders: int, is_running: bool, is_counted: bool = True
) -> Iterator[Diagnosis]:
    """Compare the limits with the number of folders, or of those that are counted so far.

    An upload that is running has its watches already.
    """
    if options.once or options.use_polling_observer:
        option = "--once" if options.once else "--use_polling_observer"
        yield fine(_INOTIFY, f"not needed with {option}")
        return
    n_above = len(os.path.realpath(options.directory).split(os.sep)) + 2  # the folders on the way, and LOGS
    need = InotifyUse(0, 0) if is_running else InotifyUse(_INSTANCES, n_folders + n_above)
    yield from judge(inotify_limits(), inotify_use(os.geteuid()), need, "" if is_counted else "at least ")


def judge(limits: InotifyLimits, used: InotifyUse, need: InotifyUse, at_least: str = "") -> Iterator[Diagnosis]:
    """Return what the limits mean for an upload that needs so much more than is used."""
    rows = (
        ("instance", "instances", limits.instances, used.instances, need.instances),
        ("watch", "watches", limits.watches, used.watches, need.watches),
    )
    is_enough = True
    for noun, plural, limit, n_used, n_needed in rows:
        if n_needed and limit is not None and n_used + n_needed > limit.number:
            is_enough = False
            enough = int((n_used + n_needed) * _SPARE)
            use = f"{n_used:,} of {limit.sysctl} = {limit.number} in use by this user"
            yield warning(
                _INOTIFY,
                f"{at_least}{counted(n_needed, noun, plural)} needed, {use}: the upload would poll instead; "
                f"sysctl -w {limit.sysctl}={enough}, and put that into /etc/sysctl.d",
            )
    queue = limits.queue
    if queue is not None and queue.number < _DEFAULT_QUEUE:
        yield warning(
            _INOTIFY,
            f"{queue.sysctl} = {queue.number} is less than Linux's default: when many files arrive at once, all "
            f"folders are scanned again; sysctl -w {queue.sysctl}={_DEFAULT_QUEUE}",
        )
    if is_enough:
        allowed = "an unknown number" if limits.watches is None else f"{limits.watches.number:,}"
        yield fine(
            _INOTIFY,
            f"{at_least}{counted(need.watches, 'watch', 'watches')} needed, {used.watches:,} of {allowed} in use",
        )
