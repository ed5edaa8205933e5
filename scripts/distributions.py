"""Build what is released, the sdist and the wheel, and install the wheel somewhere; for the scripts beside.

Needs nothing but Python.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from environments import ROOT, environment, find_pythons, run

DIST = ROOT / "dist"

_PROGRAM = Path(sys.argv[0]).stem.replace("run_", "scripts/")  # the command that the user typed
_ISOLATED = ("env", "--unset=PYTHONPATH")  # what it leads to would count as installed


class Distributions(NamedTuple):
    """What `pip` can install."""

    sdist: Path
    wheel: Path

    @property
    def version(self) -> str:
        """The version that it has."""
        return self.wheel.name.split("-")[1]


def release_tools() -> Path:
    """Return the ``bin`` folder of the tools that a release needs, made if it does not exist."""
    return environment("release", *find_pythons()[-1], "release")


def version_of_checkout() -> str:
    """Return the version of the checkout, from the one place that it is in."""
    text = (ROOT / "dfud" / "__init__.py").read_text(encoding="utf-8")
    match = re.search(r'^__version__ = "(.*)"$', text, re.MULTILINE)
    assert match is not None
    return match[1]


def build_distributions() -> Distributions:
    """Build both into ``dist``, the wheel from the sdist; exit with a message if that fails.

    A folder ``build`` of an earlier build would bring files into the wheel that are no longer there.
    """
    DIST.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        if not run(release_tools() / "pyproject-build", "--outdir", folder, ROOT):
            sys.exit(f"{_PROGRAM}: the build failed; see above")
        built = [Path(shutil.copy2(path, DIST)) for path in sorted(Path(folder).iterdir())]
    [sdist] = [path for path in built if path.name.endswith(".tar.gz")]
    [wheel] = [path for path in built if path.suffix == ".whl"]
    return Distributions(sdist, wheel)


def current_distributions() -> Distributions:
    """Return those in ``dist``, built anew if they are not there or any file of the package is newer."""
    name = f"dfud-{version_of_checkout()}"
    found = Distributions(DIST / f"{name}.tar.gz", DIST / f"{name}-py3-none-any.whl")
    sources = [ROOT / "setup.cfg", ROOT / "README.md", *(ROOT / "dfud").rglob("*")]
    newest = max(path.stat().st_mtime for path in sources if "__pycache__" not in path.parts)
    if all(path.exists() and path.stat().st_mtime > newest for path in found):
        return found
    return build_distributions()


def make_environment(python: str, folder: Path) -> None:
    """Make a virtual environment without pip; exit with a message if that fails."""
    if not run(python, "-m", "venv", "--without-pip", folder):
        sys.exit(f"{_PROGRAM}: {python} cannot make a virtual environment")


def install(requirement: str, folder: Path, *options: str) -> None:
    """Install into the virtual environment in `folder`, which has no pip; exit with a message if that fails."""
    # What PYTHONPATH leads to would count as installed.
    pip = (
        "env",
        "--unset=PYTHONPATH",
        release_tools() / "python",
        "-m",
        "pip",
        "--disable-pip-version-check",
        "--quiet",
    )
    if not run(*pip, "--python", folder / "bin" / "python", "install", *options, requirement):
        sys.exit(f"{_PROGRAM}: cannot install {requirement}; see pip's message above")


def output_of(*command: str | Path) -> str:
    """Return what a command prints; subprocess.CalledProcessError if it fails."""
    words = [*_ISOLATED, *map(str, command)]
    return subprocess.run(words, stdout=subprocess.PIPE, encoding="utf-8", check=True).stdout
