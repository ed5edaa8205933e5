"""Directories that others write into: by a share of Samba, or on a file system that reports too little."""

from __future__ import annotations

import configparser
from pathlib import Path

import pytest

from dfud.broker.node import KafkaNode
from tests.helpers.file_server import FileServer
from tests.helpers.mounts import MountNamespace
from tests.helpers.smb import BATCH_OPLOCK, CREATE
from tests.helpers.unavailable import UnavailableError
from tests.helpers.users import open_folder
from tests.howto.page import Open, Page, Run

# Here nobody has to log on, and who writes is one user.
OF_THE_TEST = {"path", "valid users", "read only"}


def test_a_windows_share(home: Path, terminal: Open, kafka: KafkaNode) -> None:
    page = Page("windows-share", kafka.bootstrap)
    (share,), (upload,) = map(page.blocks, ("ini", "sh"))
    watching, sent = page.blocks("text")
    section = configparser.ConfigParser()
    section.read_string(share)
    settings = {key.replace(" ", "_"): value for key, value in section["run42"].items() if key not in OF_THE_TEST}
    with open_folder() as folder:
        directory = folder / "run42"
        directory.mkdir()
        directory.chmod(0o2777)
        try:
            server = FileServer(directory, folder / "samba", **settings)
            with server, server.client() as client:
                running = terminal(upload.replace("/data/run42", str(directory)))
                running.wait_for(watching.strip())
                file = client.open("frame1.tif", CREATE, BATCH_OPLOCK)
                client.write(file, b"a frame", 0)
                client.close(file)
                running.wait_for(sent.strip())
                assert "NT_STATUS" in server.run(["cd LOGS"], folder)  # it is hidden from the PCs
                assert running.end("quit\n") == 0
                assert (directory / "LOGS").is_dir()
        except UnavailableError as error:
            pytest.skip(str(error))


def test_a_file_system_that_reports_too_little(
    home: Path, run: Run, terminal: Open, kafka: KafkaNode, namespace: MountNamespace
) -> None:
    page = Page("nfs", kafka.bootstrap)
    upload, write = page.blocks("sh")
    (shown,) = page.blocks("text")
    (home / "run42").mkdir()
    (home / "server").mkdir()
    try:
        namespace.mount_fuse("bindfs", home / "server", home / "run42")
    except UnavailableError as error:
        pytest.skip(str(error))
    by = " ".join(namespace.by)
    running = terminal(f"exec {by} sh -c 'cd {home}; {upload.strip()}'")
    running.wait_for(shown.strip().strip("…"))
    running.wait_for("watching 1 folder")
    run("echo light > image.tif\n" + write.replace("run42/", "server/"))  # as another machine does
    running.wait_for("image.tif: 1 chunk acknowledged")
    assert running.end("quit\n") == 0
