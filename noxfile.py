"""The one list of what is checked, as nox sessions: ``scripts/test`` runs the default ones, in this order.

The sessions run in the virtual environments of ``scripts/environments.py``, which makes them where they are
missing: a second run installs nothing and needs no network. Pythons are the oldest and the newest of this machine,
or those that DFUD_PYTHONS names; what is not a test runs on the newest.
"""

from __future__ import annotations

import contextlib
import functools
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nox
from nox.command import CommandFailed

sys.path.insert(0, str(Path(__file__).resolve().parent / "scripts"))
# The tests start dfud many hundred times: without bytecode each start compiles all of it, in half of its time.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

from environments import VENVS, dev_environment, environment, find_pythons, name_of

PYTHONS = {name_of(version): (version, python) for version, python in find_pythons()}
NEWEST = list(PYTHONS)[-1]

# What an old Python is tried with, besides the unit tests: each command once. The faults and the other tests that
# start processes take minutes, and what they cause does not depend on Python's version.
ON_OLD_PYTHONS = ("test_api.py", "test_upload.py")
# Of the unit tests, those that take long, and are about other programs, texts or bytes rather than a Python.
_NOT_ON_OLD_PYTHONS = [
    f"tests/unit/{name}"
    for name in (
        "benchmarks", "broker/test_settings.py", "commands/test_completion.py", "downloading/test_fuzz.py",
        "metrics/test_alerts.py", "scripts", "test_doc_blocks.py", "test_docs.py", "test_man_pages.py",
        "test_package.py", "test_spooled_versions.py",
    )
]  # fmt: skip

QUICK_JAVA = str(VENVS / "java")

# What is run of the documents; the commands of whole pages not by default, as that takes a minute.
DOC_PAGES = "tests/docs"
DOC_TESTS = (DOC_PAGES, "tests/unit/test_docs.py", "tests/unit/test_doc_blocks.py")

_SHARES = 4  # of the integration tests, which run at the same time
# How long those modules take beside all others, roughly (s); others count by their lengths.
_SECONDS = {
    "broker": 144, "demo": 56, "download": 143, "hostile": 70, "identity": 144, "listeners": 100,
    "logs_folder": 278, "openmsistream": 135, "placing": 72, "quick_start": 79, "reading_back": 205,
    "settings": 99, "shared_group": 44, "slow_broker": 46, "status": 68, "topic_look": 89, "upload": 303,
    "verify_strict": 48, "versions": 65, "watching": 116,
}  # fmt: skip
_BYTES_PER_SECOND = 300

_PASSED, _FAILED, _NO_TESTS = 0, 1, 5  # exit statuses of pytest; the arguments may select no test of a run

nox.needs_version = ">=2025.5"
nox.options.default_venv_backend = "none"
nox.options.sessions = ["format", "lint", "imports", "types", "jars", "wheels", "openmsistream", "tests"]


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
    """Download Kafka, so that a slow network does not count as the time of a test, and make it start quickly."""
    resolve = "from dfud.broker import jars; jars.resolve_kafka(print)"
    session.run(tool("python"), "-c", resolve, external=True)
    session.run(tool("python"), "-m", "tests.helpers.quick_java", QUICK_JAVA, external=True)


@nox.session
def wheels(session: nox.Session) -> None:
    """Download what an installation needs; the test of the Quick start is skipped where that cannot be had."""
    session.run(tool("python"), "-m", "tests.helpers.wheels", external=True, success_codes=[0, 1])


@nox.session
def pin_jars(session: nox.Session) -> None:
    """Download Kafka anew, and write the digests of its jars into the package: for a new KAFKA_VERSION."""
    pin = (
        "from dfud.broker import digests, jars; resolved = jars.resolve(*jars.KAFKA, announce=print); "
        "folder = jars.cache_dir() / jars.folder_name(jars.KAFKA); "
        "digests.DIGESTS.write_text(digests.format_digests(folder, resolved))"
    )
    with tempfile.TemporaryDirectory() as cache:
        session.run(tool("python"), "-c", pin, env={"XDG_CACHE_HOME": cache}, external=True)


@nox.session
def openmsistream(session: nox.Session) -> None:
    """Install OpenMSIStream; the tests that need it are skipped where it cannot be installed."""
    session.run(tool("python"), "-m", "tests.helpers.openmsistream_peer", external=True, success_codes=[0, 1])


@nox.session
def tests(session: nox.Session) -> None:
    """Run the tests, with the arguments after ``--``; on old Pythons not those that take minutes.

    The integration tests are dealt out to several runs; the unit tests, the faults and the old Pythons have runs
    of their own. All of them mostly wait for processes, so that several at the same time take little longer.
    """
    paths = sorted(map(str, Path("tests/integration").glob("test_*.py")))
    shares = [[path for path in paths if path not in dealt] for dealt in _deal(paths)]  # to be ignored
    quick = [
        "tests/faults",
        *_NOT_ON_OLD_PYTHONS,
        *(path for path in paths if Path(path).name not in ON_OLD_PYTHONS),
    ]
    runs = [
        (f"share {n} on {NEWEST}", NEWEST, ["tests/unit", "tests/faults", *share])
        for n, share in enumerate(shares, 1)
    ]
    runs.append((f"the faults on {NEWEST}", NEWEST, ["tests/unit", "tests/integration"]))
    runs += [(python, python, quick) for python in PYTHONS if python != NEWEST]
    with contextlib.ExitStack() as stack:
        env = dict(os.environ)
        if os.path.exists(QUICK_JAVA):
            env["JAVA_HOME"] = QUICK_JAVA
        env["DFUD_TEST_KAFKA"] = stack.enter_context(_kafka(env))
        beside = []
        for name, python, ignored in runs:
            output = stack.enter_context(tempfile.TemporaryFile("w+"))
            words = _pytest(session, python, ignored)
            process = subprocess.Popen(
                words, stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, env=env
            )
            stack.callback(process.kill)
            beside.append((name, process, output))
        results = {NEWEST: _PASSED}
        try:
            session.run(
                *_pytest(session, NEWEST, ["tests/faults", "tests/integration"]),
                env=env,
                external=True,
                success_codes=[_PASSED, _NO_TESTS],
            )
        except CommandFailed:
            results[NEWEST] = _FAILED
        for name, process, output in beside:
            results[name] = process.wait()
            output.seek(0)
            print(f"\nAt the same time, {name}:\n{output.read()}", flush=True)
        failed = [name for name, status in results.items() if status not in (_PASSED, _NO_TESTS)]
        if failed:
            session.error(f"tests failed: {', '.join(failed)}")


@contextlib.contextmanager
def _kafka(env: dict[str, str]) -> Iterator[str]:
    """Run the Kafka that all tests share; yield the line that says where it is."""
    words = [tool("python"), "-m", "tests.helpers.shared_kafka"]
    with subprocess.Popen(
        words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, encoding="utf-8", env=env
    ) as process:  # its input is closed at the end, and it ends with that
        assert process.stdout is not None
        yield process.stdout.readline()


def _deal(paths: list[str]) -> list[list[str]]:
    """Deal out tests to the shares, so that each takes about as long."""

    def seconds(path: str) -> int:
        name = Path(path).stem[len("test_") :]
        return _SECONDS.get(name, os.path.getsize(path) // _BYTES_PER_SECOND)

    shares: list[tuple[int, list[str]]] = [(0, []) for _ in range(_SHARES)]
    for takes, path in sorted(((seconds(path), path) for path in paths), reverse=True):
        lightest = min(range(_SHARES), key=lambda n: shares[n][0])
        shares[lightest] = (shares[lightest][0] + takes, [*shares[lightest][1], path])
    return [dealt for _, dealt in shares]


def _pytest(session: nox.Session, python: str, ignored: list[str]) -> list[str]:
    ignored = [*ignored, "tests/browser", "tests/howto", "tests/validators", DOC_PAGES]
    words = [tool("python", python), "-m", "pytest", *(f"--ignore={path}" for path in ignored)]
    if python != NEWEST:
        words.append("--hypothesis-profile=few examples")
    return [*words, *session.posargs]


@nox.session
def model(session: nox.Session) -> None:
    """Take 100,000 random walks through the model check of the protocol."""
    session.run(tool("python"), "-m", "tests.unit.uploading.walk_protocol", *session.posargs, external=True)


@nox.session
def faults(session: nox.Session) -> None:
    """Cause all faults, as ``scripts/faults`` does."""
    session.run("scripts/faults", *session.posargs, external=True)


@nox.session
def properties(session: nox.Session) -> None:
    """Run the unit tests with twenty times as many examples of each property."""
    session.run(
        *(tool("python"), "-m", "pytest", "--hypothesis-profile=many examples", "tests/unit"),
        *session.posargs,
        external=True,
    )


@nox.session
def browser(session: nox.Session) -> None:
    """Look at the page of ``dfud status --html`` in a headless Chromium; skipped where there is none."""
    session.run(tool("python"), "-m", "pytest", "tests/browser", *session.posargs, external=True)


@nox.session
def validators(session: nox.Session) -> None:
    """Have bagit-python and rocrate-validator judge what ``dfud download --runs`` makes."""
    python = str(environment("validators", *PYTHONS[NEWEST], "validators") / "python")
    session.run(python, "-m", "pytest", "tests/validators", *session.posargs, external=True)


@nox.session
def howto(session: nox.Session) -> None:
    """Run what the how-to pages say, word for word; with root, Samba and kcat, all of it."""
    session.run(tool("python"), "-m", "pytest", "tests/howto", *session.posargs, external=True)


@nox.session
def package(session: nox.Session) -> None:
    """Build all that is released; install it on each Python here and in a throwaway Debian, and run it."""
    session.run(tool("python"), "scripts/try_package.py", *session.posargs, external=True)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure dfud beside its peers, as ``scripts/bench`` does."""
    session.run("scripts/bench", *session.posargs, external=True)


@nox.session
def demo(session: nox.Session) -> None:
    """Show dfud at work, as ``scripts/demo`` does."""
    session.run("scripts/demo", *session.posargs, external=True)


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation site into ``build/docs``, check its links, and run what its pages say."""
    build_docs(session, "html", "build/docs")
    session.run(docs_tool("python"), "-m", "pytest", *DOC_TESTS, *session.posargs, external=True)


@nox.session
def linkcheck(session: nox.Session) -> None:
    """Check that what the documents link to in the world is there: it needs a network."""
    build_docs(session, "linkcheck", "build/linkcheck")


def build_docs(session: nox.Session, builder: str, folder: str) -> None:
    """Run Sphinx; every warning, such as one of a link that leads nowhere, is an error."""
    words = [docs_tool("sphinx-build"), "-W", "--keep-going", "-q", "-b", builder, "docs", folder]
    session.run(*words, external=True)


@functools.cache
def docs_tool(name: str) -> str:
    """Return the path of a program in the environment for the documentation."""
    return str(environment("docs", *PYTHONS[NEWEST], "docs") / name)
