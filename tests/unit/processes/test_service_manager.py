"""sd_notify over real sockets, and what of systemd's environment is left to children."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.processes.own_command import own_environment
from dfud.processes.service_manager import ServiceManager, take_service_manager
from tests.helpers.service_manager import NotifySocket


@pytest.mark.parametrize("abstract", [False, True])
def test_a_message_arrives_whole_and_nothing_stays_open(tmp_path: Path, abstract: bool) -> None:
    address = f"@dfud-test-{os.getpid()}" if abstract else os.fspath(tmp_path / "notify\udcff")
    listener = NotifySocket(address)
    try:
        before = os.listdir("/proc/self/fd")
        ServiceManager(address).send("READY=1", "STATUS=größer")
        assert os.listdir("/proc/self/fd") == before
        assert listener.received() == ["READY=1", "STATUS=größer"]
    finally:
        listener.close()


def test_a_full_queue_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    listener = NotifySocket(os.fspath(tmp_path / "notify"))
    manager = ServiceManager(listener.address)

    def fill() -> None:
        while True:
            manager.send("WATCHDOG=1")

    try:
        with pytest.raises(BlockingIOError):
            fill()
    finally:
        listener.close()


@pytest.mark.parametrize(
    ("environment", "watchdog_s"),
    [
        pytest.param({}, None, id="no watchdog"),
        pytest.param({"WATCHDOG_USEC": "45000000"}, 45.0, id="watchdog"),
        pytest.param({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": str(os.getpid())}, 0.5, id="of this process"),
        pytest.param({"WATCHDOG_USEC": "500000", "WATCHDOG_PID": "1"}, None, id="of another process"),
        pytest.param({"WATCHDOG_USEC": "soon"}, None, id="no number"),
        pytest.param({"WATCHDOG_USEC": "0"}, None, id="zero"),
    ],
)
def test_what_systemd_says_is_taken_out_of_the_environment(
    environment: dict[str, str], watchdog_s: float | None
) -> None:
    environment = {"NOTIFY_SOCKET": "/run/notify", "HOME": "/", **environment}
    manager = take_service_manager(environment)
    assert manager is not None
    assert (manager.address, manager.watchdog_s) == ("/run/notify", watchdog_s)
    assert environment == {"HOME": "/"}


def test_a_command_that_is_started_says_nothing_for_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/notify")
    assert "NOTIFY_SOCKET" not in own_environment()


@pytest.mark.parametrize("address", ["", "vsock:2:1234", "relative"])
def test_without_a_socket_of_this_machine_nobody_is_notified(address: str) -> None:
    assert take_service_manager({"NOTIFY_SOCKET": address}) is None
