"""A real upload as a service: what systemd is told, and what a real systemd does with it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from dfud.processes.own_command import OWN_COMMAND
from dfud.service.instance import Instance
from dfud.service.program import Program
from dfud.service.unit import environment_text, unit_text
from tests.helpers.proxy import Proxy
from tests.helpers.service_manager import in_folder
from tests.helpers.systemd import Systemd
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import Upload, command, wait_until

ROOT = Path(__file__).resolve().parents[2]
UNIT = "dfud@run42.service"


def test_a_service_is_ready_without_its_broker_and_tells_how_it_does_until_its_end(
    directory: Path, tmp_path: Path, kafka: KafkaNode, topic: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    systemd = in_folder(tmp_path)
    monkeypatch.setenv("NOTIFY_SOCKET", systemd.address)
    monkeypatch.setenv("WATCHDOG_USEC", "3000000")
    with Proxy(int(kafka.bootstrap.rpartition(":")[2])) as proxy:
        proxy.cut()
        config = client_config.write(tmp_path / "kafka.config", proxy.address)
        upload = Upload(command(directory, config, topic))
        try:
            systemd.wait_for("READY=1", "WATCHDOG_USEC=0", "STATUS=watching; waiting for a broker: ")
            (directory / "early").write_bytes(b"x" * 100)
            proxy.heal()
            systemd.wait_for("WATCHDOG_USEC=3000000", "WATCHDOG=1", "STATUS=1 file (100 bytes) completed; ")
            assert systemd.said.count("READY=1") == 1
            upload.quit()
            systemd.wait_for("STOPPING=1", "STATUS=ended; 1 file (100 bytes) completed; broker reachable")
        finally:
            upload.close()
            systemd.close()


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    """A real systemd that can run this dfud."""
    try:
        with Systemd([ROOT] if ROOT.is_relative_to("/tmp") else []) as made:
            yield made
    except UnavailableError as error:
        pytest.skip(str(error))


def test_the_unit_works_in_its_sandbox_under_a_real_systemd(
    systemd: Systemd, kafka: KafkaNode, topic: str
) -> None:
    what = Instance("run42", "/srv/run 42", "/etc/dfud/kafka.config", topic, ("--upload_regex=.*[^$]",))
    systemd.write_unit("dfud@.service", unit_text("system", Program(OWN_COMMAND, ())))
    systemd.write_unit(f"{UNIT}.d/50-dfud.conf", what.drop_in("root"))
    # Where this Python and this dfud are, no service of the system would be; the rest is to be quick.
    own = "[Service]\nProtectHome=no\nPrivateTmp=no\nWatchdogSec=3\nRestartSec=1\n"
    systemd.write_unit(f"{UNIT}.d/override.conf", own)
    systemd.write("/etc/dfud/run42.env", environment_text(what))
    systemd.write(what.config, client_config.render(kafka.bootstrap))
    systemd.run("mkdir", what.directory)

    systemd.run("systemctl", "start", UNIT)
    assert systemd.property(UNIT, "ActiveState") == "active"
    systemd.write(f"{what.directory}/new", "12345")
    wait_until(lambda: systemd.property(UNIT, "StatusText").startswith("1 file (5 bytes) completed; broker reach"))

    systemd.run("systemctl", "reload", UNIT)
    log = f"{what.directory}/LOGS/DataFileUploadDirectory.log"
    wait_until(lambda: "log file opened again" in systemd.run("cat", log))

    systemd.run("kill", "-STOP", systemd.property(UNIT, "MainPID"))
    wait_until(lambda: systemd.property(UNIT, "NRestarts") == "1")
    wait_until(lambda: systemd.property(UNIT, "ActiveState") == "active")
    systemd.run("systemctl", "stop", UNIT)
    assert systemd.property(UNIT, "Result") == "success"
