"""Resolve Maven coordinates into jar files, once, and keep them where they need no network."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Callable

from dfud.errors import BrokerError

KAFKA_VERSION = "4.3.1"
KAFKA = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    # Kafka logs through slf4j and brings no binding of its own: without one nothing is logged at all.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)

_LIST = "classpath.txt"
_TIMEOUT_S = 30


def cache_dir() -> Path:
    """Return the folder that resolved jars are kept under; it need not exist."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification has relative paths ignored.
    return (Path(root) if root.startswith("/") else Path.home() / ".cache") / "dfud"


def folder_name(coordinates: tuple[str, ...]) -> str:
    """Name the cache folder of a set of ``group:artifact:version`` coordinates after its first.

    >>> folder_name(("org.apache.kafka:kafka-tools:4.3.1",))
    'kafka-tools-4.3.1'
    """
    name = "-".join(coordinates[0].split(":")[1:])
    if len(coordinates) == 1:
        return name
    return f"{name}-{hashlib.sha256(' '.join(coordinates).encode()).hexdigest()[:8]}"


def resolve(*coordinates: str, announce: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Return the jars of ``group:artifact:version`` coordinates and of all that they depend on.

    The first time, they are downloaded (``announce`` is told so); later, neither jgo nor the network
    is needed. Processes that resolve at once wait for one another, and a download that was cut off
    is never used. Raises BrokerError.
    """
    folder = cache_dir() / folder_name(coordinates)
    found = read_list(folder)
    if found is not None:
        return found
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{folder.name}.lock")):
            found = read_list(folder)  # another process may have been first
            if found is not None:
                return found
            announce(f"Downloading {coordinates[0]} into {folder}, this once")
            staging = folder.with_name(f"{folder.name}.partial")
            _remove(staging)
            jars = _download(coordinates, staging)
            write_list(staging, jars)
            _remove(folder)
            staging.rename(folder)
    except OSError as error:
        raise BrokerError(
            f"cannot keep the jars in {folder.parent}: {error}; set XDG_CACHE_HOME to a folder to write to"
        ) from error
    found = read_list(folder)
    if found is None:
        raise BrokerError(f"the jars in {folder} changed while they were read; try again")
    return found


def read_list(folder: Path) -> list[Path] | None:
    """Return the jars that the folder's list names, or None unless each is there with its size."""
    try:
        lines = (folder / _LIST).read_text(encoding="utf-8").splitlines()
        jars = []
        for line in lines:
            size, _, name = line.partition(" ")
            if (folder / name).stat().st_size != int(size):
                return None
            jars.append(folder / name)
    except (OSError, ValueError):
        return None
    return jars or None


def write_list(folder: Path, jars: list[Path]) -> None:
    """Write the folder's list, one ``size name`` a jar, the name relative to the folder."""
    lines = [f"{jar.stat().st_size} {jar.relative_to(folder)}\n" for jar in jars]
    (folder / _LIST).write_text("".join(lines), encoding="utf-8")


def _download(coordinates: tuple[str, ...], repository: Path) -> list[Path]:
    """Download into a Maven repository folder of our own, and check that each jar is whole."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # jgo's and its dependencies' are nothing that a user can act on
        try:
            from jgo.maven import MavenContext, PythonResolver
        except ImportError as error:
            raise BrokerError(f"the Kafka broker needs jgo ({error}): pip install 'dfud[broker]'") from error
        # Only jgo's Maven layer: its environment builder wants a Java to sort the jars by module, which
        # a plain class path does not need.
        maven = MavenContext(repo_cache=repository, resolver=PythonResolver(), timeout=_TIMEOUT_S)
        try:
            needed: dict[tuple[str, str], Any] = {}
            # One after another: resolved together, each would manage the versions of the others' needs, and
            # log4j's POM names older Kafka clients. Of a library that two need, the first's version is taken.
            for coordinate in coordinates:
                inputs, transitive = maven.resolver.resolve([maven.create_dependency(coordinate)])
                wanted = [d for d in transitive if d.scope in ("compile", "runtime") and not d.optional]
                for dependency in (*inputs, *wanted):
                    needed.setdefault((dependency.groupId, dependency.artifactId), dependency.artifact)
            jars = [Path(artifact.resolve()) for artifact in needed.values()]
            for jar in jars:
                _check(jar)
        # Besides network errors, which are OSErrors: jgo's own, and what a captive portal's page in
        # the place of a POM (a SyntaxError, of the XML) or of a jar leads to.
        except (OSError, RuntimeError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
            _remove(repository)
            raise BrokerError(
                f"cannot download {' and '.join(coordinates)}: {error}; it takes a network the first time, "
                f"or the folder {cache_dir()} of a machine that has it"
            ) from error
    return jars


def _check(jar: Path) -> None:
    """Read the whole jar against its checksums; raises BadZipFile."""
    with zipfile.ZipFile(jar) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise zipfile.BadZipFile(f"{jar.name} is damaged at {broken}")


def _remove(folder: Path) -> None:
    """Remove a folder of ours, if it is there."""
    if folder.exists():
        shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an flock on the path; the kernel frees it with the process."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
