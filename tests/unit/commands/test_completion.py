"""The completion in real shells, where there are any."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from dfud.commands.completion import PROGRAMS, SHELLS
from dfud.commands.main import dfud, run

WAIT_S = 60
BASH = """
eval "$(dfud completion bash)"
complete_words() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); _dfud_completion dfud; }
compopt() { COMPREPLY=("compopt $*"); }
for words in "dfud do" "dfud upload . --chunk" "dfud upload . --logger-file-level w" "dfud service rem" \
    "dfud upload . --config k" "dfud upload d"
do
    complete_words $words
    echo ${COMPREPLY[@]}
done
complete -p DataFileUploadDirectory
"""
FISH = """
dfud completion fish | source
complete -C "dfud do"
complete -C "dfud upload . --chunk"
complete -C "DataFileUploadDirectory . --once --chunk"
"""
ZSH = """
autoload -Uz compinit && compinit -D -u
source <(dfud completion zsh)
print $_comps[dfud] $_comps[DataFileUploadDirectory]
"""


def shell(name: str, program: str, home: Path) -> list[str]:
    """Return the lines that a shell prints that runs a program; skip the test if there is no such shell."""
    path = shutil.which(name)
    if path is None:
        pytest.skip(f"there is no {name}")
    search = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    no_settings = {"bash": ["--norc"], "zsh": ["-f"], "fish": ["--no-config"]}[name]
    done = subprocess.run(
        [path, *no_settings, "-c", program],
        env={**os.environ, "PATH": search, "HOME": str(home)},
        capture_output=True,
        encoding="utf-8",
        timeout=WAIT_S,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.splitlines()


def test_bash_completes(tmp_path: Path) -> None:
    assert shell("bash", BASH, tmp_path) == [
        "download doctor",
        "--chunk_size",
        "warning",
        "remove",
        "compopt -o default",
        "compopt -o dirnames",
        "complete -o nosort -F _DataFileUploadDirectory_completion DataFileUploadDirectory",
    ]


def test_fish_completes(tmp_path: Path) -> None:
    lines = shell("fish", FISH, tmp_path)
    assert [line.split("\t")[0] for line in lines] == ["doctor", "download", "--chunk_size", "--chunk_size"]


def test_zsh_takes_the_script(tmp_path: Path) -> None:
    assert shell("zsh", ZSH, tmp_path) == ["_dfud_completion _DataFileUploadDirectory_completion"]


@pytest.mark.parametrize("name", SHELLS)
def test_the_script_is_for_each_program(capsys: pytest.CaptureFixture[str], name: str) -> None:
    assert run(dfud, ["completion", name], "dfud") == 0
    out, err = capsys.readouterr()
    assert err == ""
    for program in PROGRAMS:
        assert f"_{program.upper()}_COMPLETE={name}_complete" in out


def test_another_shell_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(dfud, ["completion", "tcsh"], "dfud") == 2
    assert "'tcsh' is not one of 'bash', 'zsh', 'fish'" in capsys.readouterr().err
