"""Uploads as services, from the installation to the removal, by a real systemd that cannot change this machine."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.systemd import Systemd
from tests.helpers.unavailable import UnavailableError
from tests.helpers.uploading import wait_until
from tests.helpers.wheels import ROOT, DownloadError, wheels
from tests.howto.page import Page

INSTALL_S = 300.0
CHECKOUT = "/root/checkout"
NEEDED = ("dfud", "README.md", "LICENSE", "pyproject.toml", "setup.cfg", "setup.py")

RunThere = Callable[..., str]


@pytest.fixture
def systemd() -> Iterator[Systemd]:
    """A real systemd."""
    try:
        with Systemd([ROOT] if ROOT.is_relative_to("/tmp") else []) as made:
            yield made
    except UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture
def run(systemd: Systemd) -> RunThere:
    """A function that runs a block in a checkout, where the systemd is; it returns the output."""
    try:
        links = wheels()
    except DownloadError as error:
        pytest.skip(f"no wheels: {error}")
    systemd.write("/usr/local/bin/sudo", '#!/bin/sh\nexec "$@"\n')
    systemd.run("chmod", "755", "/usr/local/bin/sudo")
    systemd.run("mkdir", CHECKOUT)
    systemd.run("cp", "-r", *(ROOT / name for name in NEEDED), CHECKOUT)
    environment = (
        f"PATH={_python(systemd)}:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LANG=C.UTF-8",
        "PIP_NO_INDEX=1", f"PIP_FIND_LINKS={links}", "PIP_NO_COMPILE=1",
    )  # fmt: skip

    def run(block: str, check: bool = True) -> str:
        words = ("env", "-i", "-C", CHECKOUT, *environment, "sh", "-ec", block)
        return systemd.run(*words, check=check, seconds=INSTALL_S)

    return run


def _python(systemd: Systemd) -> str:
    """Return the folder of this Python where the systemd is; not in a home, in which no service would see it."""
    prefix = sys.base_prefix
    if prefix.startswith(("/root/", "/home/")):
        prefix = "/usr/local/python"
        systemd.run("mkdir", prefix)
        systemd.run("mount", "--bind", sys.base_prefix, prefix)
        systemd.run("mount", "-t", "tmpfs", "tmpfs", sys.base_prefix)  # its library would be found here first
        systemd.write("/etc/ld.so.conf.d/python.conf", f"{prefix}/lib\n")
        systemd.run("ldconfig")
    return f"{prefix}/bin"


@pytest.mark.timeout(600)
def test_services_are_installed_updated_multiplied_and_removed(
    systemd: Systemd, run: RunThere, kafka: KafkaNode
) -> None:
    install, doctor, instance, look = Page("service").blocks("sh")
    (config,) = Page("service", kafka.bootstrap).blocks("ini")
    version, update, see, remove = Page("update-and-remove").blocks("sh")
    several = next(block for block in Page("many-instruments").blocks("sh") if "--system" in block)

    def sent(name: str, number: int) -> None:
        text = f"{number} file"
        wait_until(lambda: systemd.property(f"dfud@{name}", "StatusText").startswith(text))

    run("useradd --user-group instrument; for name in run42 xrd; do install -d -o instrument /data/$name; done")
    run(install)
    systemd.write("/etc/dfud/kafka.config", config)
    assert "STOPS" not in run(doctor, check=False)
    run(instance)
    run("echo 1 > /data/run42/first")
    sent("run42", 1)
    shown = run(look)
    assert "dfud@run42" in shown
    assert "completed:   1 file" in shown

    assert run(version).startswith("dfud")
    run(update)
    assert "active" in run(see)
    run("echo 2 > /data/run42/second")
    sent("run42", 1)

    run(several)
    run("echo 1 > /data/xrd/first")
    sent("xrd", 1)
    run("sudo /opt/dfud/bin/dfud service remove --system xrd")
    run(remove)
    assert run("ls /etc/systemd/system /opt /data/run42/LOGS").count("dfud@.service\n") == 0
    assert run("ls /data/run42/LOGS")
