"""Which links are followed, looked at and opened, with openat2(2) and without, as root and as a user."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from dfud.files.links import LinkLeavesDirectoryError, LinkPolicy, LinkRefusedError
from dfud.files.openat import look, look_in, open_regular_file
from tests.unit.files.conftest import acting_as

pytestmark = pytest.mark.usefixtures("kernel")

FOLLOW = LinkPolicy(follow_links=True)
USERS = ["root", "nobody"]

# What a link at top/sub/link leads to; {place} is an absolute path, and {place}/alias a link to the directory.
FOLLOWED = [
    pytest.param("file", id="beside it"),
    pytest.param("../data", id="above it"),
    pytest.param("deep/file", id="below it"),
    pytest.param("{place}/top/data", id="absolute"),
    pytest.param("{place}/alias/data", id="absolute, by another name of the directory"),
    pytest.param("../../top/data", id="out of the directory and in again"),
    pytest.param("../chain1", id="to a link to a link"),
    pytest.param("../to-sub/file", id="through a link to a folder"),
    pytest.param("../LOGS-of-the-instrument/file", id="into a folder with a similar name"),
]
LEAVING = [
    pytest.param("../../outside/file", id="relative"),
    pytest.param("{place}/outside/file", id="absolute"),
    pytest.param("../chain-out", id="to a link that leaves"),
    pytest.param("../to-outside/file", id="through a link to a folder that leaves"),
    pytest.param("{place}/top-secret/file", id="a folder whose name begins the same"),
]
INTO_LOGS = [
    pytest.param("../LOGS/table", id="relative"),
    pytest.param("{place}/top/LOGS/table", id="absolute"),
    pytest.param("{place}/alias/LOGS/parts/part", id="a folder in it"),
    pytest.param("../to-logs/table", id="through a link"),
]
NOWHERE = [
    pytest.param("nothing", FileNotFoundError, id="dangling"),
    pytest.param("{place}/nothing", FileNotFoundError, id="dangling outside"),
    pytest.param("link", OSError, id="to itself"),
    pytest.param("../loop", OSError, id="in a circle"),
    pytest.param("file/below", NotADirectoryError, id="below a file"),
]


@pytest.fixture
def top(place: Path) -> Path:
    top = place / "top"
    for folder in ("sub/deep", "LOGS/parts", "LOGS-of-the-instrument", "../outside", "../top-secret"):
        (top / folder).mkdir(parents=True)
    for path in ("data", "sub/file", "sub/deep/file", "LOGS-of-the-instrument/file"):
        (top / path).write_bytes(b"inside")
    for path in ("LOGS/table", "LOGS/parts/part"):
        (top / path).write_bytes(b"logs")
    for path in ("../outside/file", "../top-secret/file"):
        (top / path).write_bytes(b"outside")
    os.mkfifo(top / "fifo")
    links = {
        "../alias": "top", "to-sub": "sub", "to-outside": "../outside", "to-logs": "LOGS",
        "chain1": "chain2", "chain2": "sub/file", "chain-out": "../outside/file", "loop": "loop2", "loop2": "loop",
    }  # fmt: skip
    for path, target in links.items():
        (top / path).symlink_to(target)
    return top


def make_link(top: Path, target: str) -> bytes:
    """Make a link to `target`; return its path."""
    (top / "sub" / "link").symlink_to(target.format(place=top.parent))
    return b"sub/link"


def content(dir_fd: int, path: bytes, links: LinkPolicy) -> bytes:
    """Open a file; return what is in it, having checked that it is the one that was looked at."""
    descriptor, status = open_regular_file(path, dir_fd, links)
    assert os.path.samestat(look(dir_fd, path, links), status)
    with open(descriptor, "rb") as file:
        return file.read()


def refused(dir_fd: int, path: bytes, links: LinkPolicy, error: type[OSError]) -> list[OSError]:
    """Return the errors of looking at a file and opening it, which must be of that class."""
    folder, _, name = path.rpartition(b"/")
    folder_fd = os.open(folder or b".", os.O_RDONLY, dir_fd=dir_fd)
    try:
        errors = []
        for attempt in (
            lambda: look(dir_fd, path, links),
            lambda: look_in(folder_fd, name, dir_fd, links),
            lambda: open_regular_file(path, dir_fd, links),
        ):
            with pytest.raises(error) as raised:
                attempt()
            errors.append(raised.value)
        return errors
    finally:
        os.close(folder_fd)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("target", FOLLOWED)
def test_a_link_to_a_file_below_the_directory_is_that_file(top: Path, dir_fd: int, target: str, user: str) -> None:
    path = make_link(top, target)
    with acting_as(user):
        for links in (LinkPolicy(), FOLLOW):
            assert content(dir_fd, path, links) == b"inside"
        assert stat.S_ISLNK(look(dir_fd, path).st_mode)


@pytest.mark.parametrize("user", USERS)
@pytest.mark.parametrize("target", LEAVING)
def test_a_link_that_leaves_is_followed_on_request_only(top: Path, dir_fd: int, target: str, user: str) -> None:
    path = make_link(top, target)
    with acting_as(user):
        for error in refused(dir_fd, path, LinkPolicy(), LinkLeavesDirectoryError):
            assert error.strerror == "it is a link that leads out of the directory"
        assert content(dir_fd, path, FOLLOW) == b"outside"


@pytest.mark.parametrize("target", INTO_LOGS)
def test_no_link_leads_into_logs(top: Path, dir_fd: int, target: str) -> None:
    path = make_link(top, target)
    for links in (LinkPolicy(), FOLLOW):
        for error in refused(dir_fd, path, links, LinkRefusedError):
            assert error.strerror == "it is a link that leads into LOGS"


@pytest.mark.parametrize("where", ["outside", "top/sub/deep"])
def test_nor_into_logs_that_are_elsewhere(place: Path, top: Path, dir_fd: int, where: str) -> None:
    status = (place / where).stat()
    path = make_link(top, f"{place}/{where}/file")
    links = LinkPolicy(follow_links=True, logs=(status.st_dev, status.st_ino))
    for error in refused(dir_fd, path, links, LinkRefusedError):
        assert "into LOGS" in str(error)


@pytest.mark.parametrize("links", [LinkPolicy(), FOLLOW], ids=["default", "follow"])
@pytest.mark.parametrize(("target", "kind"), NOWHERE)
def test_a_link_to_nothing_is_nothing(
    top: Path, dir_fd: int, target: str, kind: type[OSError], links: LinkPolicy
) -> None:
    path = make_link(top, target)
    for error in refused(dir_fd, path, links, kind):
        assert not isinstance(error, LinkRefusedError)
    assert stat.S_ISLNK(look(dir_fd, path).st_mode)


@pytest.mark.parametrize("target", ["../fifo", "deep", ".."])
def test_only_regular_files_are_opened(top: Path, dir_fd: int, target: str) -> None:
    path = make_link(top, target)
    for links in (LinkPolicy(), FOLLOW):
        assert not stat.S_ISREG(look(dir_fd, path, FOLLOW).st_mode)
        with pytest.raises((FileNotFoundError, LinkLeavesDirectoryError)):
            open_regular_file(path, dir_fd, links)


@pytest.mark.parametrize(("target", "is_folder"), [("../../outside", True), ("../../outside/file", False)])
def test_a_refusal_says_whether_the_link_leads_to_a_folder(
    top: Path, dir_fd: int, target: str, is_folder: bool
) -> None:
    with pytest.raises(LinkRefusedError) as error:
        look(dir_fd, make_link(top, target), LinkPolicy())
    assert error.value.leads_to_folder is is_folder


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a user that cannot read everything")
def test_a_link_to_where_dfud_has_no_access_is_refused(place: Path, top: Path, dir_fd: int) -> None:
    (place / "outside").chmod(0o700)
    path = make_link(top, "../../outside/file")
    with acting_as("nobody"):
        for links in (LinkPolicy(), FOLLOW):
            for error in refused(dir_fd, path, links, LinkRefusedError):
                assert error.strerror == "it is a link to a place that cannot be accessed"


@pytest.mark.skipif(os.geteuid() != 0, reason="needs a file that only root can read")
def test_a_file_of_another_user_is_not_read_for_who_links_to_it(place: Path, top: Path, dir_fd: int) -> None:
    (place / "outside" / "file").chmod(0o600)
    path = make_link(top, "../../outside/file")
    refused(dir_fd, path, LinkPolicy(), LinkLeavesDirectoryError)
    with acting_as("nobody"), pytest.raises(PermissionError):
        open_regular_file(path, dir_fd, FOLLOW)


def test_a_link_of_proc_to_an_open_file_leads_where_that_file_is(place: Path, top: Path, dir_fd: int) -> None:
    for file, error in (
        (place / "outside" / "file", LinkLeavesDirectoryError),
        (top / "LOGS" / "table", LinkRefusedError),
    ):
        with open(file, "rb") as opened:
            path = make_link(top, f"/proc/self/fd/{opened.fileno()}")
            refused(dir_fd, path, LinkPolicy(), error)
            (top / "sub" / "link").unlink()
    reader, writer = os.pipe()
    path = make_link(top, f"/proc/self/fd/{reader}")
    refused(dir_fd, path, FOLLOW, LinkRefusedError)
    os.close(reader)
    os.close(writer)


# A folder is swapped between detection and opening


@pytest.mark.parametrize("links", [LinkPolicy(), FOLLOW], ids=["default", "follow"])
@pytest.mark.parametrize("target", ["../outside", "{place}/outside", "sub", "nothing", "data"])
@pytest.mark.parametrize("path", [b"swapped/file", b"swapped/deep/file", b"swapped/link"])
def test_a_folder_that_was_swapped_for_a_link(
    top: Path, dir_fd: int, path: bytes, target: str, links: LinkPolicy
) -> None:
    (top / "swapped" / "deep").mkdir(parents=True)
    for name in ("swapped/file", "swapped/deep/file"):
        (top / name).write_bytes(b"inside")
    (top / "swapped" / "link").symlink_to("file")
    assert content(dir_fd, path, links) == b"inside"
    (top / "swapped").rename(top / "aside")
    (top / "swapped").symlink_to(target.format(place=top.parent))
    for attempt in (lambda: look(dir_fd, path, links), lambda: open_regular_file(path, dir_fd, links)):
        with pytest.raises(NotADirectoryError, match="a folder in its path is now a link or a file"):
            attempt()


def test_a_file_that_was_swapped_for_a_link_that_leaves(top: Path, dir_fd: int) -> None:
    assert content(dir_fd, b"data", LinkPolicy()) == b"inside"
    (top / "data").unlink()
    (top / "data").symlink_to("../outside/file")
    with pytest.raises(LinkLeavesDirectoryError):
        open_regular_file(b"data", dir_fd)


def test_a_directory_whose_path_leads_elsewhere_now_has_no_links(place: Path, top: Path, dir_fd: int) -> None:
    path = make_link(top, "file")
    top.rename(place / "moved")
    assert content(dir_fd, path, LinkPolicy()) == b"inside"  # the kernel knows its new path
    (place / "moved").rename(top)
    real = os.readlink

    def of_another(link: bytes) -> bytes:  # as of a directory that was unmounted: its path begins at its own root
        return real(link).replace(os.fsencode(top), b"") or b"/"

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "readlink", of_another)
        refused(dir_fd, path, LinkPolicy(), LinkLeavesDirectoryError)
