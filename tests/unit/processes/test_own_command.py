"""No process that we start imports anything from the current directory, wherever dfud itself lies."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import dfud
from dfud.processes.own_command import OWN_COMMAND, own_environment

MODULES = (
    "click", "confluent_kafka", "errno", "importlib", "inotify_simple", "json", "logging", "msgspec", "signal",
    "sitecustomize", "usercustomize", "xxhash",
)  # fmt: skip
PACKAGE = Path(dfud.__file__).parent


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current directory: a download's, with modules that a topic has brought."""
    folder = tmp_path / "hostile"
    folder.mkdir()
    for name in MODULES:
        (folder / f"{name}.py").write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write('{name} ')\n")
    (folder / "again").symlink_to(".")
    monkeypatch.chdir(folder)
    return folder


def imported(hostile: Path) -> str:
    """Return which of the modules in the current directory were imported since the last call."""
    marks = hostile.parent / "imported"
    names = marks.read_text() if marks.exists() else ""
    marks.unlink(missing_ok=True)
    return names


def run(*command: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, **environment}, timeout=60
    )


@pytest.mark.parametrize(
    "pythonpath",
    [
        "",
        os.pathsep,
        ".",
        "again",
        "{cwd}",
        "{cwd}/again/",
        "{install}{sep}",
        "{sep}{install}",
        "{cwd}{sep}{install}",
    ],
)
def test_nothing_comes_from_the_current_directory(
    hostile: Path, monkeypatch: pytest.MonkeyPatch, pythonpath: str
) -> None:
    text = pythonpath.format(cwd=hostile, install=PACKAGE.parent, sep=os.pathsep)
    monkeypatch.setenv("PYTHONPATH", text)
    run(sys.executable, "-c", "import click")
    assert "click" in imported(hostile), "without protection it is imported: the test can fail"
    done = subprocess.run(
        [*OWN_COMMAND, "upload", "--version"], capture_output=True, text=True, check=False, env=own_environment()
    )
    assert imported(hostile) == ""
    assert (done.returncode, done.stdout) == (0, f"dfud, version {dfud.__version__}\n"), done.stderr


def test_python_m_imports_only_dfud_from_there(hostile: Path) -> None:
    (hostile / "signal.py").unlink()  # which Python itself imports before it starts the module
    (hostile / "importlib.py").unlink()
    done = run(sys.executable, "-m", "dfud", "upload", "--version")
    assert (done.returncode, imported(hostile)) == (0, ""), done.stderr


def test_the_python_api_imports_nothing_from_there(hostile: Path) -> None:
    with pytest.raises(dfud.UsageError, match="does not exist"):
        dfud.upload("nowhere", "no.config", "topic")
    with pytest.raises(dfud.UsageError, match=r"cannot read the config file no\.config"):
        dfud.download(".", "no.config", "topic")
    assert imported(hostile) == ""


def test_dfud_may_lie_in_the_current_directory(hostile: Path) -> None:
    shutil.copytree(PACKAGE, hostile / "dfud", ignore=shutil.ignore_patterns("__pycache__"))
    init = hostile / "dfud" / "__init__.py"
    init.write_text(init.read_text().replace(f'"{dfud.__version__}"', '"9.8.7"'))
    program = (
        "import subprocess, sys\n"
        "sys.path.insert(0, '')\n"
        "import dfud\n"
        "from dfud.processes.own_command import OWN_COMMAND, own_environment\n"
        "sys.exit(subprocess.call([*OWN_COMMAND, 'upload', '--version'], env=own_environment()))\n"
    )
    for name in MODULES:
        if name != "click":  # for this program, the current directory comes first
            (hostile / f"{name}.py").unlink()
    done = run(sys.executable, "-c", program, PYTHONPATH="")
    assert (done.returncode, done.stdout) == (0, "dfud, version 9.8.7\n"), done.stderr
    assert imported(hostile) == ""


def test_other_entries_of_pythonpath_are_kept(hostile: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (hostile / "lib").mkdir()
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["", "lib", "/nowhere", str(hostile)]))
    assert own_environment()["PYTHONPATH"] == os.pathsep.join(["lib", "/nowhere"])
    monkeypatch.setenv("PYTHONPATH", "")
    assert "PYTHONPATH" not in own_environment()
    monkeypatch.delenv("PYTHONPATH")
    assert own_environment() == dict(os.environ)
