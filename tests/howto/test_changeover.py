"""From the real OpenMSIStream to dfud, and back."""

from __future__ import annotations

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic

from dfud.broker.node import KafkaNode
from tests.helpers.openmsistream_peer import InstallError, OpenMSIStream, install
from tests.howto.page import Open, Page, Run, assert_shown

SIZE = 2_000_000  # bytes: four chunks of OpenMSIStream's
TOPIC = "run42"


@pytest.fixture
def peer(home: Path, tmp_path: Path) -> OpenMSIStream:
    """OpenMSIStream, with the configuration file of the page."""
    try:
        return OpenMSIStream(install(), home / "kafka.config", tmp_path)
    except InstallError as error:
        pytest.skip(f"cannot install OpenMSIStream: {error}")


def test_the_changeover(
    home: Path, programs: Path, run: Run, terminal: Open, kafka: KafkaNode, peer: OpenMSIStream
) -> None:
    page = Page("from-openmsistream", kafka.bootstrap)
    _, doctor, keep, upload, verify, back = page.blocks("sh")
    imported, same = page.blocks("text")
    (config,) = page.blocks("ini")
    (home / "kafka.config").write_text(config)
    admin = AdminClient({"bootstrap.servers": kafka.internal_bootstrap})
    admin.create_topics([NewTopic(TOPIC, 4, 1)])[TOPIC].result(30)
    (home / "dfud").mkdir()
    (home / "dfud" / "bin").symlink_to(programs)
    directory = home / "run42"
    directory.mkdir()
    (directory / "old.dat").write_bytes(b"o" * SIZE)
    logs = directory / "LOGS"
    peer.upload_until(
        directory, TOPIC, lambda: any("old.dat" in path.read_text() for path in logs.glob("uploaded_to_*"))
    )

    run(doctor)
    run(keep)
    running = terminal(upload)
    running.wait_for(imported.strip())
    running.wait_for("watching")
    (directory / "new.dat").write_bytes(b"n" * SIZE)
    running.wait_for("new.dat: all 4 chunks acknowledged")
    assert running.end("quit\n") == 0
    assert_shown(same, run(verify))
    rebuilt = home / "rebuilt"
    rebuilt.mkdir()
    peer.download_until(
        rebuilt, TOPIC, lambda: {"old.dat", "new.dat"} <= {path.name for path in rebuilt.iterdir()}
    )

    run(back)
    last = directory / "last.dat"
    last.write_bytes(b"l" * 10)
    peer.upload_until(
        directory, TOPIC, lambda: any("last.dat" in path.read_text() for path in logs.glob("uploaded_to_*"))
    )
