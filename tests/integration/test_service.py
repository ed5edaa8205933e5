"""What systemd is told of a real upload whose broker comes last."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.broker import client_config
from dfud.broker.node import KafkaNode
from tests.helpers.proxy import Proxy
from tests.helpers.service_manager import in_folder
from tests.helpers.uploading import Upload, command


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
