"""``dfud service``: what it writes and starts, and what it refuses; systemctl notes how it is called."""

from __future__ import annotations

import getpass
import os
from pathlib import Path

import pytest

from dfud.commands import service
from dfud.commands.main import main
from dfud.service import place
from dfud.service.installing import remove_files
from dfud.service.owned_file import OwnedFile
from dfud.service.program import Program
from dfud.service.unit import unit_text

SYSTEMCTL = """#!/bin/sh
case " $* " in *" show "*) ;; *) echo "$*" >> "$CALLS" ;; esac
for word; do
  [ "$word" != show ] || printf 'ActiveState=%s\\nSubState=running\\nUnitFileState=enabled\\n' "$STATE"
  [ "$word" != show ] || printf 'NRestarts=2\\nStatusText=%s\\nResult=%s\\n' "$TEXT" "$RESULT"
done
"""


class Bench:
    """A machine: its folders, and what systemctl was asked for that changes something."""

    def __init__(self, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
        self.config = folder / "config"
        self.calls_file = folder / "calls"
        self.data = folder / "data 5%"
        self.settings = folder / "kafka.config"
        self.data.mkdir()
        self.settings.touch()
        self._capsys = capsys
        self.upload = ("run42", self.data, "--config", self.settings, "--topic_name", "T")

    def run(self, *words: object) -> tuple[int, str, str]:
        """Return exit status, output and errors of ``dfud service``."""
        with pytest.raises(SystemExit) as ended:
            main(["service", *map(str, words)])
        out, err = self._capsys.readouterr()
        return int(ended.value.code or 0), out, err

    @property
    def calls(self) -> list[str]:
        return self.calls_file.read_text().splitlines() if self.calls_file.exists() else []

    @property
    def files(self) -> set[str]:
        return {os.path.relpath(path, self.config) for path in self.config.rglob("*") if path.is_file()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Bench:
    bench = Bench(tmp_path, capsys)
    programs = tmp_path / "bin"
    programs.mkdir()
    (programs / "systemctl").write_text(SYSTEMCTL)
    (programs / "systemctl").chmod(0o755)
    monkeypatch.setenv("PATH", f"{programs}:{os.environ['PATH']}")
    monkeypatch.setenv("CALLS", os.fspath(bench.calls_file))
    monkeypatch.setenv("STATE", "inactive")
    monkeypatch.setenv("TEXT", "1 file")
    monkeypatch.setenv("RESULT", "success")
    monkeypatch.setenv("XDG_CONFIG_HOME", os.fspath(bench.config))
    monkeypatch.setattr(place, "_BOOTED", os.fspath(tmp_path))
    return bench


def test_an_instance_is_installed_shown_and_removed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    status, out, err = bench.run("install", "--user", "--now", *bench.upload, "--upload-existing")
    assert (status, err) == (0, "")
    assert bench.files == {"systemd/user/dfud@.service", "dfud/run42.env"}
    assert bench.calls == ["--user daemon-reload", "--user enable --now dfud@run42.service"]
    assert out.splitlines() == [
        f"{bench.config}/systemd/user/dfud@.service: written",
        f"{bench.config}/dfud/run42.env: written",
        *(f"systemctl {call}" for call in bench.calls),
    ]
    lines = (bench.config / "dfud/run42.env").read_text().splitlines()
    assert f'DIR="{bench.data}"' in lines
    assert 'OPTIONS="--upload_existing"' in lines

    monkeypatch.setenv("STATE", "active")
    shown = "run42: active (running), enabled, started anew 2 times: 1 file\n"
    assert bench.run("status", "--user") == (0, shown, "")
    monkeypatch.setenv("STATE", "failed")
    assert bench.run("status", "--user", "run42")[:2] == (1, shown.replace("active", "failed"))

    monkeypatch.setenv("TEXT", "")
    monkeypatch.setenv("RESULT", "exit-code")
    why = "last result exit-code, started anew 2 times: journalctl --user -u dfud@run42.service -n 20 says why\n"
    assert bench.run("status", "--user")[:2] == (1, f"run42: failed (running), enabled, {why}")

    assert bench.run("remove", "--user")[2] == "dfud: remove the instances first: run42\n"
    assert bench.run("remove", "--user", "run42")[0] == bench.run("remove", "--user")[0] == 0
    assert bench.files == set()
    assert bench.calls[-4:] == [
        "--user disable --now dfud@run42.service",
        "--user reset-failed dfud@run42.service*",
        "--user daemon-reload",
        "--user daemon-reload",
    ]


def test_what_systemctl_says_of_a_start_that_failed_is_shown(bench: Bench, tmp_path: Path) -> None:
    says = "printf 'Created symlink a -> b.\\nJob for dfud@run42.service failed.\\n' >&2; exit 1"
    (tmp_path / "bin/systemctl").write_text(f'#!/bin/sh\ncase "$*" in *enable*) {says};; esac\n')
    status, _, err = bench.run("install", "--user", "--now", *bench.upload)
    assert status == 1
    assert err == "dfud: systemctl --user enable --now dfud@run42.service: Job for dfud@run42.service failed.\n"


def test_an_instance_that_runs_is_restarted_if_it_has_changed(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench.run("install", "--user", "--now", *bench.upload)
    monkeypatch.setenv("STATE", "active")
    n_calls = len(bench.calls)
    bench.run("install", "--user", "--now", *bench.upload)
    assert bench.calls[n_calls + 1 :] == ["--user enable --now dfud@run42.service"], "nothing has changed"
    start = ["--user enable dfud@run42.service", "--user restart dfud@run42.service"]
    out = bench.run("install", "--user", *bench.upload, "--n_threads", 4)[1]
    assert out.endswith(f"\nnext: {'; '.join(f'systemctl {call}' for call in start)}\n")
    bench.run("install", "--user", "--now", *bench.upload, "--n_threads", 5)
    assert bench.calls[-2:] == start


def test_what_else_is_in_a_folder_of_drop_ins_stays_and_is_named(tmp_path: Path) -> None:
    folder = tmp_path / "dfud@run42.service.d"
    folder.mkdir()
    own = folder / "50-dfud.conf"
    OwnedFile(os.fspath(own), "[Service]\n", 0o644).write()
    (folder / "override.conf").touch()
    lines: list[str] = []
    remove_files([os.fspath(own)], [], [], False, lines.append)
    assert lines == [f"{own}: removed", f"{folder} stays, with override.conf, which dfud has not written"]
    assert os.listdir(folder) == ["override.conf"]


def test_what_would_be_done_is_printed_and_not_done(bench: Bench) -> None:
    status, out, _ = bench.run("install", "--user", "--dry_run", "--now", *bench.upload)
    assert (status, bench.files, bench.calls) == (0, set(), [])
    assert f"# {bench.config}/systemd/user/dfud@.service\n" in out
    assert f'\nDIR="{bench.data}"\n' in out
    assert out.endswith("systemctl --user daemon-reload\nsystemctl --user enable --now dfud@run42.service\n")


def test_what_the_user_has_changed_is_replaced_only_on_request_and_kept(bench: Bench) -> None:
    bench.run("install", "--user", *bench.upload)
    changed = bench.config / "dfud/run42.env"
    changed.write_text(changed.read_text() + "KAFKA_PASSWORD=secret\n")
    assert bench.run("install", "--user")[0] == 0, "the unit alone is renewed"
    status, _, err = bench.run("install", "--user", *bench.upload, "--n_threads", 4)
    why = "not written by dfud, or changed since; --overwrite replaces it, and keeps yours as .bak"
    assert (status, err) == (2, f"dfud: {changed}: {why}\n")
    status, out, _ = bench.run("install", "--user", "--overwrite", *bench.upload, "--n_threads", 4)
    assert f"{changed}: written; what you had is in {changed}.bak" in out
    assert "--n_threads=4" in changed.read_text()
    assert "secret" in changed.with_name("run42.env.bak").read_text()


def test_what_a_service_would_not_find_in_its_environment_is_named(bench: Bench) -> None:
    bench.settings.write_text(
        "[broker]\nsasl.username = ${KAFKA_USER}\nsasl.password = $KAFKA_PASSWORD\n"
        "[producer]\nssl.key.password = $ecret\n"
    )
    common = bench.config / "dfud/environment"
    _, out, _ = bench.run("install", "--user", *bench.upload)
    missing = [line for line in out.splitlines() if line.startswith("missing: ")]
    assert missing == [
        f'missing: {bench.settings} takes {name} from the environment: put a line {name}="..." into {common}, '
        "which counts for all instances"
        for name in ("KAFKA_USER", "KAFKA_PASSWORD")
    ]
    common.write_text("# instruments\nKAFKA_USER=instrument\n KAFKA_PASSWORD = 'a secret'\n")
    status, out, err = bench.run("install", "--user", *bench.upload, "--n_threads", 4)
    assert (status, err) == (0, ""), "nothing of dfud's was changed"
    assert "missing" not in out


def test_a_unit_that_the_user_has_changed_serves_further_instances(bench: Bench) -> None:
    bench.run("install", "--user")
    unit = bench.config / "systemd/user/dfud@.service"
    unit.write_text(unit.read_text() + "# mine\n")
    status, out, _ = bench.run("install", "--user", *bench.upload)
    assert status == 0
    assert out.startswith(f"{unit}: you have changed it, so it stays as it is\n")
    assert unit.read_text().endswith("# mine\n")
    assert bench.run("install", "--user")[0] == 2


def test_a_service_of_the_system_gets_a_user_and_is_prepared_in_an_image(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "own_program", lambda: Program(("/opt/dfud/bin/dfud",), ("/opt/dfud",)))
    image = tmp_path / "image"
    options = ("--system", "--root", image, "--run_as", getpass.getuser())
    assert bench.run("install", *options, *bench.upload)[::2] == (0, "")
    assert bench.calls == [], "there is nothing to start in an image"
    units = image / "etc/systemd/system"
    assert "ExecStart=/opt/dfud/bin/dfud upload ${DIR} " in (units / "dfud@.service").read_text()
    drop_in = (units / "dfud@run42.service.d/50-dfud.conf").read_text()
    assert f"\nUser={getpass.getuser()}\n" in drop_in
    assert (image / "etc/dfud/run42.env").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        pytest.param((), "say --system (for all, as root) or --user (for you alone)", id="neither"),
        pytest.param(("--user", "a/b", "DIR"), "'a/b' is no name for an instance", id="name"),
        pytest.param(("--user", "x", "--once"), "Missing argument 'DIR'", id="no directory"),
        pytest.param(("--user", "--now"), "--now and --run_as are about an instance: say which", id="no instance"),
        pytest.param(("--user", "--run_as", "me", "x"), "--run_as is for --system", id="user of a user"),
        pytest.param(("--user", "UPLOAD", "--once"), "--once is for cron", id="once"),
        pytest.param(
            ("--user", "UPLOAD", "--now"), "--now is no option of the upload: put it before run42", id="late"
        ),
        pytest.param(("--user", "UPLOAD", "--chunk_size", "3"), "3 is not a nonzero power of two", id="option"),
        pytest.param(
            ("--system", "--root", "/x", "--run_as", "no one", "UPLOAD"), "no one is no user", id="no user"
        ),
    ],
)
def test_what_cannot_be_is_refused_and_nothing_is_written(
    bench: Bench, words: tuple[str, ...], problem: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service, "own_program", lambda: Program(("dfud",), ("/opt/dfud",)))
    given = [part for word in words for part in (bench.upload if word == "UPLOAD" else (word,))]
    status, out, err = bench.run("install", *given)
    assert (status, out, bench.files, bench.calls) == (2, "", set(), [])
    assert problem in err


def test_without_a_command_its_help_is_shown(bench: Bench) -> None:
    status, out, err = bench.run()
    assert (status, out) == (2, "")
    assert "install" in err.partition("Commands:\n")[2]


def test_without_a_running_systemd_nothing_is_installed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(place, "_BOOTED", "/nowhere")
    status, _, err = bench.run("install", "--user", *bench.upload)
    assert (status, bench.files) == (2, set())
    assert err.startswith("dfud: systemd does not run here")


def test_the_unit_that_a_package_has_brought_is_used_unless_another_hides_it(
    bench: Bench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = Program(("/usr/lib/dfud/bin/dfud",), ("/usr/lib/dfud",))
    monkeypatch.setattr(service, "own_program", lambda: program)
    image = tmp_path / "image"
    options = ("--system", "--root", image)
    packaged, own = (image / top / "systemd/system/dfud@.service" for top in ("usr/lib", "etc"))
    packaged.parent.mkdir(parents=True)

    packaged.write_text("# of another version\n")
    assert bench.run("install", *options)[0] == 0
    assert own.exists()
    packaged.write_text("# of a package\n" + unit_text("system", program))
    assert bench.run("install", *options)[:2] == (0, f"{own}: as it is to be\n")

    own.unlink()
    status, out, err = bench.run("install", *options, "--run_as", getpass.getuser(), *bench.upload)
    assert (status, err) == (0, "")
    assert out.splitlines()[0] == f"{packaged}: as it is to be"
    assert not own.exists()
    assert (image / "etc/dfud/run42.env").exists()
