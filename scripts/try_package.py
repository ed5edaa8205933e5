"""Build all that is released, and install and run it where nothing of dfud is: started by ``nox -s package``.

The wheel is tried on each supported Python of this machine, the sdist on the oldest and the newest, the Debian
package in a root of its own. Each uploads files to a real Kafka, and verifies them.
"""

from __future__ import annotations

import contextlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import run_deb
import run_sbom
from distributions import DIST, Distributions, build_distributions, install, make_environment, release_tools
from environments import ROOT, all_pythons, find_pythons, name_of
from throwaway_root import ThrowawayRoot

from dfud.broker import client_config
from dfud.broker.node import KafkaNode

FILES = 50

# DEBEMAIL is not set.
_SUPPRESSED = ("bogus-mail-host", "bogus-mail-host-in-debian-changelog", "root-in-contact")


def main() -> int:
    """Try all of it; return the exit status."""
    verdicts: list[str] = []
    built = build_distributions()
    call(release_tools() / "twine", "check", "--strict", *built)
    call(release_tools() / "check-wheel-contents", built.wheel)
    verdicts.append("passed   twine check, check-wheel-contents")
    call(release_tools() / "hadolint", ROOT / "Containerfile")
    verdicts.append("passed   hadolint Containerfile")
    if run_sbom.main([]) != 0:
        return 1
    verdicts.append("passed   the SBOM is valid CycloneDX")
    with kafka() as node, tempfile.TemporaryDirectory() as folder:
        verdicts += try_on_pythons(built, node, Path(folder))
        if run_deb.main([]) != 0:
            return 1
        reason = ThrowawayRoot.why_not()
        if reason is None:
            [package] = DIST.glob(f"dfud_{built.version}-*.deb")
            verdicts += try_debian_package(package, node)
        else:
            verdicts.append(f"skipped  the Debian package was made, but not installed: {reason}")
    print("", *verdicts, sep="\n")
    return 0


@contextlib.contextmanager
def kafka() -> Iterator[KafkaNode]:
    """Run a Kafka."""
    with tempfile.TemporaryDirectory() as folder:
        node = KafkaNode(Path(folder))
        node.start()
        try:
            yield node
        finally:
            node.stop()


def try_on_pythons(built: Distributions, node: KafkaNode, folder: Path) -> list[str]:
    """Install and run the wheel on all Pythons, and the sdist on two of them; return what was tried."""
    verdicts = []
    for version, python in all_pythons():
        for path in built:
            if path == built.sdist and (version, python) not in find_pythons():
                continue
            name = f"{path.suffix[1:]}-{name_of(version)}"
            venv = folder / name
            make_environment(python, venv)
            install(str(path), venv)
            data = folder / f"data-{name}"
            write_files(data)
            config = client_config.write(folder / f"{name}.config", node.bootstrap)
            upload_and_verify([], venv / "bin", data, config, f"package-{name}", folder)
            verdicts.append(f"passed   {path.name} on Python {name_of(version)}")
    return verdicts


def write_files(folder: Path) -> None:
    """Write what is uploaded."""
    (folder / "below").mkdir(parents=True)
    for n in range(FILES):
        (folder / ("below" if n % 2 else "") / f"file {n}").write_bytes(bytes([n]) * (n * 1000))


def upload_and_verify(
    prefix: list[str], programs: Path, data: Path, config: Path, topic: str, folder: Path
) -> None:
    """Run the commands, from a folder without a checkout, and with nothing but what is installed."""
    arguments = [str(data), "--config", str(config), "--topic_name", topic]
    for words in (
        [str(programs / "dfud"), "--version"],
        [str(programs / "DataFileUploadDirectory"), *arguments, "--once"],
        [str(programs / "dfud"), "verify", *arguments],
        [str(programs / "DataFileDownloadDirectory"), "--version"],
    ):
        call(*prefix, *words, folder=folder)


def try_debian_package(package: Path, node: KafkaNode) -> list[str]:
    """Install, run, remove and purge it in a root of its own; return what was tried."""
    verdicts = []
    root = ThrowawayRoot()
    try:
        there = root.put(package)
        root.run("dpkg", "--install", there)
        root.run("sh", "-c", "id scientist >/dev/null 2>&1 || useradd scientist; rm -rf /srv/run42")
        write_files(root.path / "srv/run42")
        root.put(client_config.write(root.path / "etc/dfud/kafka.config", node.bootstrap))
        root.run("chown", "-R", "scientist:", "/srv/run42")
        arguments = "/srv/run42 --config /srv/kafka.config --topic_name package-deb"
        for command in (f"DataFileUploadDirectory {arguments} --once", f"dfud verify {arguments}"):
            root.run("su", "scientist", "-s", "/bin/sh", "-c", command)
        installed = root.run("dfud", "service", "install", "--system", "--root", "/", "run42", *arguments.split())
        assert "/usr/lib/systemd/system/dfud@.service: as it is to be" in installed
        assert not (root.path / "etc/systemd/system/dfud@.service").exists()
        assert root.run("dpkg", "--verify", "dfud") == ""
        root.run("dpkg", "--install", there)  # as an upgrade does
        root.run("dpkg", "--remove", "dfud")
        left = sorted(str(path) for path in root.path.glob("usr/**/*dfud*"))
        assert not left, left
        root.run("dpkg", "--purge", "dfud")
        assert (root.path / "etc/dfud/kafka.config").exists(), "what an administrator has written was removed"
        verdicts.append(f"passed   {package.name} installed, run, installed again, removed, purged")
        verdicts.append(lint(root, there))
    finally:
        root.close()
    return verdicts


def lint(root: ThrowawayRoot, package: str) -> str:
    """Run lintian in the root, where it is installed for that; return what came of it."""
    try:
        root.run(
            "sh",
            "-c",
            "lintian --version || { apt-get update && apt-get install -y --no-install-recommends lintian; }",
        )
    except subprocess.CalledProcessError:
        return "skipped  lintian cannot be installed"
    root.run("lintian", "--fail-on", "error,warning", "--suppress-tags", ",".join(_SUPPRESSED), package)
    return "passed   lintian"


def call(*words: str | Path, folder: Path = ROOT) -> None:
    """Show and run a command; subprocess.CalledProcessError if it fails."""
    command = [str(word) for word in words]
    print(f"\n$ {' '.join(command)}", flush=True)
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"}
    subprocess.run(command, cwd=folder, env=environment, stdin=subprocess.DEVNULL, check=True)


if __name__ == "__main__":
    sys.exit(main())
