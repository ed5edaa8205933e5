"""The sdist and the wheel hold what they are to hold, and say what they are."""

from __future__ import annotations

import configparser
import email
import email.message
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from pathlib import Path
from typing import NamedTuple

import pytest

import dfud

ROOT = Path(__file__).resolve().parents[2]
NAME = f"dfud-{dfud.__version__}"
BUILD = """\
import sys
from setuptools import build_meta
out = sys.argv[1]  # which setuptools replaces
build_meta.build_sdist(out)
build_meta.build_wheel(out)
"""

# What tools and their users leave in a checkout.
LEFT = ("build", "dist", "mutants", "venv", "*.egg-info", "__pycache__", "*.py[co]")
HIDDEN_BUT_OURS = (".ci", ".editorconfig", ".pre-commit-config.yaml")
# What the sdist has no need of: they are about the repository.
REPOSITORY_ONLY = (".github", ".gitignore")


class Built(NamedTuple):
    """What a build has given."""

    sdist: set[str]
    wheel: set[str]
    metadata: email.message.Message
    entry_points: configparser.ConfigParser


def ignored(folder: str, names: list[str]) -> set[str]:
    """Name what is not part of the checkout."""
    found = set(shutil.ignore_patterns(*LEFT)(folder, names))
    return found | {name for name in names if name.startswith(".") and name not in HIDDEN_BUT_OURS}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The sdist and the wheel of a copy of this checkout, in which setuptools may write."""
    pytest.importorskip("setuptools")
    top = tmp_path_factory.mktemp("package")
    source, out = top / "source", top / "out"
    out.mkdir()
    shutil.copytree(ROOT, source, ignore=ignored, symlinks=True)
    command = [sys.executable, "-c", BUILD, str(out)]
    done = subprocess.run(command, cwd=source, capture_output=True, encoding="utf-8", check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [sdist], [wheel] = out.glob("*.tar.gz"), out.glob("*.whl")
    assert sdist.name == f"{NAME}.tar.gz"
    assert wheel.name == f"{NAME}-py3-none-any.whl"
    with tarfile.open(sdist) as archive:
        in_sdist = {member.name.partition("/")[2] for member in archive if not member.isdir()}
    with zipfile.ZipFile(wheel) as zipped:
        metadata = email.message_from_bytes(zipped.read(f"{NAME}.dist-info/METADATA"))
        entry_points = configparser.ConfigParser()
        entry_points.read_string(zipped.read(f"{NAME}.dist-info/entry_points.txt").decode())
        return Built(in_sdist, set(zipped.namelist()), metadata, entry_points)


def files_below(*tops: str) -> set[str]:
    """Return the paths of the files of this checkout below some folders."""
    found = set()
    for top in tops:
        for path in (ROOT / top).rglob("*"):
            names = path.relative_to(ROOT).parts
            if path.is_file() and not any(ignored("", [name]) for name in names) and "build" not in names:
                found.add("/".join(names))
    return found


def test_the_wheel_has_each_file_of_the_package_and_no_other(built: Built) -> None:
    assert {name for name in built.wheel if ".dist-info/" not in name} == files_below("dfud")


def test_the_sdist_has_all_that_the_tests_of_the_project_need(built: Built) -> None:
    folders = [
        path.name
        for path in ROOT.iterdir()
        if path.is_dir() and not ignored("", [path.name]) and path.name not in REPOSITORY_ONLY
    ]
    assert {"dfud", "docs", "scripts", "tests"} <= set(folders)
    assert files_below(*folders) - built.sdist == set()
    assert {
        path.name for path in ROOT.glob("*.*") if path.is_file() and not ignored("", [path.name])
    } <= built.sdist


def test_the_metadata_says_what_it_is(built: Built) -> None:
    metadata = built.metadata
    assert (metadata["Name"], metadata["Version"]) == ("dfud", dfud.__version__)
    assert metadata["Requires-Python"] == ">=3.9"
    assert metadata["Description-Content-Type"] == "text/markdown"
    assert (metadata["License"] or metadata["License-Expression"]) == "MIT"
    assert f"{NAME}.dist-info/licenses/LICENSE" in built.wheel or f"{NAME}.dist-info/LICENSE" in built.wheel
    required = [line for line in metadata.get_all("Requires-Dist", []) if "extra ==" not in line]
    assert {re.split(r"[^\w-]", line)[0] for line in required} == {
        "click", "confluent-kafka", "inotify-simple", "msgspec", "prometheus-client", "rich", "xxhash",
    }  # fmt: skip


def test_the_commands_are_those_of_the_package(built: Built) -> None:
    assert dict(built.entry_points["console_scripts"]) == {
        "dfud": "dfud.__main__:main",
        "datafileuploaddirectory": "dfud.__main__:upload_main",
        "datafiledownloaddirectory": "dfud.__main__:download_main",
    }
