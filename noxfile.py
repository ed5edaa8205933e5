"""The one list of what is checked, as nox sessions: ``scripts/test`` runs the default ones, in this order.

The sessions run in the virtual environments of ``scripts/environments.py``, which makes them where they are
missing: a second run installs nothing and needs no network. Pythons are the oldest and the newest of this machine,
or those that DFUD_PYTHONS names; what is not a test runs on the newest.
"""

from __future__ import annotations

import functools
import sys
from pathlib import Path

import nox

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))

from environments import dev_environment, find_pythons, name_of

PYTHONS = {name_of(version): (version, python) for version, python in find_pythons()}
NEWEST = list(PYTHONS)[-1]

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["format", "lint", "imports", "types", "jars", "openmsistream", "tests"]


@functools.cache
def tool(name: str, python: str = NEWEST) -> str:
    """Return the path of a program in the development environment of a Python."""
    return str(dev_environment(*PYTHONS[python]) / name)


@nox.session
def format(session: nox.Session) -> None:
    """Check that the code is formatted."""
    session.run(tool("ruff"), "format", "--check", ".", external=True)


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code against ruff's rules."""
    session.run(tool("ruff"), "check", ".", external=True)


@nox.session
def imports(session: nox.Session) -> None:
    """Check that no package imports another of a floor above its own."""
    if PYTHONS[NEWEST][0] < (3, 10):
        session.skip("import-linter needs Python 3.10")
    session.run(tool("lint-imports"), external=True)


@nox.session
def types(session: nox.Session) -> None:
    """Check all types, those of the tests, too."""
    session.run(tool("mypy"), external=True)


@nox.session
def jars(session: nox.Session) -> None:
    """Download Kafka, so that a slow network does not count as the time of a test."""
    resolve = "from dfud.broker import jars; jars.resolve(*jars.KAFKA, announce=print)"
    session.run(tool("python"), "-c", resolve, external=True)


@nox.session
def openmsistream(session: nox.Session) -> None:
    """Install OpenMSIStream; the tests that need it are skipped where it cannot be installed."""
    session.run(tool("python"), "-m", "tests.helpers.openmsistream_peer", external=True, success_codes=[0, 1])


@nox.session
@nox.parametrize("python", [nox.param(name, id=name) for name in reversed(PYTHONS)])
def tests(session: nox.Session, python: str) -> None:
    """Run the tests, with the arguments after ``--``; the faults, which take minutes, on the newest only."""
    ignored = [] if python == NEWEST else ["--ignore=tests/faults"]
    session.run(tool("python", python), "-m", "pytest", *ignored, *session.posargs, external=True)


@nox.session
def model(session: nox.Session) -> None:
    """Take 100,000 random walks through the model check of the protocol."""
    session.run(tool("python"), "-m", "tests.unit.uploading.walk_protocol", *session.posargs, external=True)


@nox.session
def faults(session: nox.Session) -> None:
    """Cause all faults, as ``scripts/faults`` does."""
    session.run("scripts/faults", *session.posargs, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure dfud beside its peers, as ``scripts/bench`` does."""
    session.run("scripts/bench", *session.posargs, external=True)


@nox.session
def demo(session: nox.Session) -> None:
    """Show dfud at work, as ``scripts/demo`` does."""
    session.run("scripts/demo", *session.posargs, external=True)
