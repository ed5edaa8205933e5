"""Resolve Maven coordinates into jar files, once, and keep them for use without a network."""

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

from dfud.broker.digests import DIGESTS, check_jars, read_digests
from dfud.broker.download_progress import DownloadProgress
from dfud.errors import BrokerError

KAFKA_VERSION = "4.3.1"
KAFKA = (
    f"org.apache.kafka:kafka_2.13:{KAFKA_VERSION}",
    # Kafka logs through slf4j without a binding of its own: without this one nothing is logged.
    "org.apache.logging.log4j:log4j-slf4j-impl:2.25.4",
)

_LIST = "classpath.txt"
_TIMEOUT_S = 30
_CERTIFICATE_ADVICE = (
    "if a proxy of your network looks into TLS, set REQUESTS_CA_BUNDLE to the file with its certificate, "
    "such as /etc/ssl/certs/ca-certificates.crt"
)


def cache_dir() -> Path:
    """Return the folder for the resolved jars, which need not exist."""
    root = os.environ.get("XDG_CACHE_HOME", "")
    # The XDG specification says to ignore relative paths.
    return (Path(root) if root.startswith("/") else Path.home() / ".cache") / "dfud"


def folder_name(coordinates: tuple[str, ...]) -> str:
    """Return the name of the cache folder for ``group:artifact:version`` coordinates, after the first of them.

    >>> folder_name(("org.apache.kafka:kafka-tools:4.3.1",))
    'kafka-tools-4.3.1'
    """
    name = "-".join(coordinates[0].split(":")[1:])
    if len(coordinates) == 1:
        return name
    return f"{name}-{hashlib.sha256(' '.join(coordinates).encode()).hexdigest()[:8]}"


def resolve_kafka(announce: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Return the jars of the embedded Kafka as `resolve` does, once they are known to be the right ones.

    Raises BrokerError.
    """
    resolved = resolve(*KAFKA, announce=announce)
    check_jars(cache_dir() / folder_name(KAFKA), resolved, read_digests(DIGESTS.read_text(encoding="ascii")))
    return resolved


def resolve(*coordinates: str, announce: Callable[[str], None] = lambda _: None) -> list[Path]:
    """Return the jars of ``group:artifact:version`` coordinates and of all their dependencies.

    The first time they are downloaded, and `announce` gets lines that say so and how far that is; later, neither
    jgo nor a network is needed.
    Processes that resolve at the same time wait for one another, and an interrupted download is never used.
    Raises BrokerError.
    """
    folder = cache_dir() / folder_name(coordinates)
    jars = read_list(folder)
    if jars is not None:
        return jars
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with _locked(folder.with_name(f"{folder.name}.lock")):
            jars = read_list(folder)  # another process may have been first
            if jars is not None:
                return jars
            announce(f"Downloading {coordinates[0]} into {folder} (only this once)")
            staging = folder.with_name(f"{folder.name}.partial")
            _remove(staging)
            with DownloadProgress(staging, announce) as progress:
                write_list(staging, _download(coordinates, staging, progress))
            _remove(folder)
            staging.rename(folder)
    except OSError as error:
        raise BrokerError(
            f"cannot keep the jars in {folder.parent}: {error}; set XDG_CACHE_HOME to a folder that can be written"
        ) from error
    jars = read_list(folder)
    if jars is None:
        raise BrokerError(f"the jars in {folder} were changed while they were read; try again")
    return jars


def read_list(folder: Path) -> list[Path] | None:
    """Return the jars that the folder's list names, or None unless all are there in full size."""
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
    """Write the folder's list: a line ``size name`` for each jar, the name relative to the folder."""
    lines = [f"{jar.stat().st_size} {jar.relative_to(folder)}\n" for jar in jars]
    (folder / _LIST).write_text("".join(lines), encoding="utf-8")


def _download(coordinates: tuple[str, ...], repository: Path, progress: DownloadProgress) -> list[Path]:
    """Download into a Maven repository of our own, and check that each jar is intact."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a user cannot act on those of jgo and its dependencies
        try:
            from jgo.maven import MavenContext, PythonResolver
        except ImportError as error:
            raise BrokerError(f"the Kafka broker needs jgo ({error}): pip install 'dfud[broker]'") from error
        # Only jgo's Maven layer: its environment builder needs a Java, to sort the jars by module, which a
        # class path does not need.
        maven = MavenContext(repo_cache=repository, resolver=PythonResolver(), timeout=_TIMEOUT_S)
        try:
            needed: dict[tuple[str, str], Any] = {}
            # One after another: resolved together, each would manage the versions of the others' dependencies,
            # and log4j's POM names older Kafka clients. Of a library that both need, the first version counts.
            for coordinate in coordinates:
                inputs, transitive = maven.resolver.resolve([maven.create_dependency(coordinate)])
                wanted = [d for d in transitive if d.scope in ("compile", "runtime") and not d.optional]
                for dependency in (*inputs, *wanted):
                    needed.setdefault((dependency.groupId, dependency.artifactId), dependency.artifact)
            progress.on_resolved(len(needed))
            jars = [Path(artifact.resolve()) for artifact in needed.values()]
            for jar in jars:
                _check(jar)
        # Besides network errors, which are OSErrors: jgo's own, and what a captive portal's page causes in
        # place of a POM (a SyntaxError, of the XML) or of a jar.
        except (OSError, RuntimeError, ValueError, SyntaxError, zipfile.BadZipFile) as error:
            _remove(repository)
            advice = f"; {_CERTIFICATE_ADVICE}" if "CERTIFICATE_VERIFY_FAILED" in str(error) else ""
            raise BrokerError(
                f"cannot download {' and '.join(coordinates)}: {error}; the first time needs a network, "
                f"or a copy of the folder {cache_dir()} of a machine that has it{advice}"
            ) from error
    return jars


def _check(jar: Path) -> None:
    """Compare the jar with its checksums. Raises BadZipFile."""
    with zipfile.ZipFile(jar) as archive:
        broken = archive.testzip()
    if broken is not None:
        raise zipfile.BadZipFile(f"{jar.name} is damaged at {broken}")


def _remove(folder: Path) -> None:
    """Remove a folder of ours if it exists."""
    if folder.exists():
        shutil.rmtree(folder)


@contextlib.contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Hold an flock on the path; the kernel releases it with the process."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
