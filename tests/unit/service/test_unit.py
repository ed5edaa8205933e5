"""The units that are installed: what systemd itself says of them, and what an instance adds."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.service.instance import Instance, check_name
from dfud.service.mounts import find_mount
from dfud.service.program import Program, own_program
from dfud.service.unit import environment_text, unit_text

TRUE = Program(("/bin/true",), ())
MAX_EXPOSURE = 3.0

needs_systemd = pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd-analyze")


def instance(directory: str = "/data", config: str = "/etc/dfud/kafka.config", *written: str) -> Instance:
    return Instance("run42", directory, config, "T", (), written)


def analyze(*words: object) -> str:
    done = subprocess.run(
        ["systemd-analyze", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout
    return done.stdout


@needs_systemd
@pytest.mark.parametrize(
    ("scope", "drop_in"),
    [
        pytest.param("system", instance().drop_in("instrument"), id="system"),
        pytest.param(
            "system", instance("/home/i/data", "/c", "/tmp/s").drop_in("root"), id="root and nothing hidden"
        ),
        pytest.param("user", "", id="user"),
    ],
)
def test_systemd_finds_nothing_wrong_and_little_exposed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, scope: str, drop_in: str
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", os.fspath(tmp_path))
    unit = tmp_path / "dfud@run42.service"
    unit.write_text(unit_text(scope, TRUE) + drop_in)
    assert analyze(f"--{scope}", "verify", unit) == ""
    if scope == "system":
        report = analyze("security", "--offline=true", "--no-pager", unit)
        exposure = re.search(r"Overall exposure level .*: ([\d.]+)", report)
        assert exposure is not None
        assert float(exposure[1]) <= MAX_EXPOSURE


def test_the_words_of_the_program_are_quoted() -> None:
    text = unit_text("system", Program(("/opt/d fud/5%", "x"), ()))
    assert 'ExecStart="/opt/d fud/5%%" x upload ${DIR} ' in text
    assert "@" not in re.sub(r"dfud@|=@system|~@privileged @resources", "", text), "something was not filled in"


@pytest.mark.parametrize(
    ("what", "user", "lines"),
    [
        pytest.param(instance(), "instrument", ["User=instrument"], id="nothing to open"),
        pytest.param(instance("/home/i/data"), "i", ["User=i", "ProtectHome=no"], id="data at home"),
        pytest.param(instance("/data", "/root/c"), "i", ["User=i", "ProtectHome=no"], id="configuration at home"),
        pytest.param(instance("/var/tmp/d"), "i", ["User=i", "PrivateTmp=no"], id="data in /tmp"),
        pytest.param(instance("/usr/data", "/c", "/srv/state"), "i", ["User=i"], id="state elsewhere"),
        pytest.param(instance("/homework"), "i", ["User=i"], id="not home"),
        pytest.param(
            instance(),
            "root",
            ["User=root", "CapabilityBoundingSet=CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_LEASE"],
            id="root",
        ),
    ],
)
def test_an_instance_opens_of_the_sandbox_what_it_needs(what: Instance, user: str, lines: list[str]) -> None:
    assert what.drop_in(user).splitlines() == ["[Service]", *lines]


def test_links_are_followed_to_find_out_what_an_instance_needs(tmp_path: Path) -> None:
    link = tmp_path / "link"
    link.symlink_to("/home")
    assert "ProtectHome=no" in instance(os.fspath(link)).drop_in("i")


@pytest.mark.parametrize("what", [instance("/usr/data"), instance("/data", "/c", "/data", "/etc/dfud.log")])
def test_what_the_sandbox_forbids_to_write_is_refused(what: Instance) -> None:
    with pytest.raises(UsageError, match="a service may not write into /"):
        what.drop_in("i")


@pytest.mark.parametrize("name", ["", "a b", "../x", ".x", "-x", "a/b", "a@b", "x" * 101])
def test_a_name_that_would_mean_something_else_to_systemd_is_refused(name: str) -> None:
    with pytest.raises(UsageError, match="is no name for an instance"):
        check_name(name)


def test_a_program_that_no_service_of_the_system_can_reach_is_refused() -> None:
    Program(("x",), ("/opt/dfud", "/usr", "/homework")).check_reachable()
    with pytest.raises(UsageError, match="this dfud is in /home/me/venv"):
        Program(("x",), ("/opt/dfud", "/home/me/venv")).check_reachable()


def test_the_program_is_the_dfud_that_runs() -> None:
    program = own_program()
    done = subprocess.run([*program.words, "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.startswith("dfud, version")
    assert any(folder.endswith("/dfud") for folder in program.folders)


def test_the_environment_file_has_what_the_command_line_needs() -> None:
    lines = environment_text(instance()._replace(options=("--n_threads=4",))).splitlines()
    assert lines[3:] == ['DIR="/data"', 'CONFIG="/etc/dfud/kafka.config"', 'TOPIC="T"', 'OPTIONS="--n_threads=4"']


def test_a_share_that_has_to_be_mounted_is_in_the_environment_file() -> None:
    assert (find_mount("/proc/self"), find_mount("/")) == ("/proc", "")
    lines = environment_text(instance("/srv/share/run42")._replace(mount="/srv/share")).splitlines()
    assert lines[-1] == 'MOUNT="/srv/share"'
