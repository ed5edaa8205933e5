"""How many descriptors an upload needs, and whether its processes may have them: getrlimit(2), RLIMIT_NOFILE."""

from __future__ import annotations

import resource

from dfud.errors import UsageError
from dfud.uploading.options import UploadOptions

# Counted in uploads with 1 to 16 threads, and rounded up: of the supervisor, which has most of them.
_NEEDED, _NEEDED_BY_LANE = 40, 10


def needed_descriptors(options: UploadOptions) -> int:
    """Return how many descriptors a process of the upload has at most."""
    return _NEEDED + options.n_threads * _NEEDED_BY_LANE


def descriptor_limit() -> float:
    """Return how many descriptors a process may have: it may raise its soft limit to the hard one."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    return float("inf") if hard == resource.RLIM_INFINITY else hard


def descriptor_fault(options: UploadOptions) -> str:
    """Return why there are too few descriptors for the upload, and what to do; "" if there are enough."""
    needed, limit = needed_descriptors(options), descriptor_limit()
    if limit >= needed:
        return ""
    return (
        f"about {needed} descriptors are needed in a process, and {limit:.0f} are allowed; "
        f"ulimit -n {2 * needed}, or LimitNOFILE={2 * needed} in the unit of its service"
    )


def allow_descriptors(options: UploadOptions) -> None:
    """Raise the soft limit of this process to what the upload needs; UsageError if the hard one forbids that."""
    fault = descriptor_fault(options)
    if fault:
        raise UsageError(fault)
    needed = needed_descriptors(options)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
