"""A virtual environment is moved into the package, and nothing in it names the folder that it was made in."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import run_deb


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A package with what venv and pip have written."""
    environment = tmp_path / run_deb.PREFIX
    programs = environment / "bin"
    programs.mkdir(parents=True)
    (programs / "python3").symlink_to("/usr/bin/python3")
    (programs / "python").symlink_to("python3")
    (programs / "activate").write_text(f"VIRTUAL_ENV={environment}\n")
    (programs / "other").write_text(f"#!{programs}/python3\n")
    for name in run_deb.COMMANDS:
        (programs / name).write_text(f"#!{programs}/python3\nimport dfud\n")
    (environment / "pyvenv.cfg").write_text(f"home = /usr/bin\ncommand = /usr/bin/python3 -m venv {environment}\n")
    information = environment / "lib/python3.11/site-packages/dfud-1.dist-info"
    information.mkdir(parents=True)
    (information / "direct_url.json").write_text(f'{{"url": "file://{tmp_path}/dfud.whl"}}')
    return tmp_path


def test_its_programs_start_the_python_at_its_new_place(top: Path) -> None:
    run_deb.move_environment(top)
    programs = top / run_deb.PREFIX / "bin"
    assert {path.name for path in programs.iterdir()} == {"python", "python3", *run_deb.COMMANDS}
    for name in run_deb.COMMANDS:
        assert (programs / name).read_text() == "#!/usr/lib/dfud/bin/python3\nimport dfud\n"
    target = os.readlink(programs / "python3")
    assert os.path.normpath(f"/usr/lib/dfud/bin/{target}") == "/usr/bin/python3"
    assert not target.startswith("/")


def test_what_names_the_folder_that_it_was_made_in_is_found(top: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run_deb.move_environment(top)
    text = "".join(path.read_text() for path in top.rglob("*") if path.is_file() and not path.is_symlink())
    assert str(top) not in text
    (top / run_deb.PREFIX / "lib" / "settings").write_text(str(top / run_deb.PREFIX))
    with pytest.raises(SystemExit, match="lib/settings"):
        run_deb.move_environment(top)
