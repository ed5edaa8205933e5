"""With openat2(2) and without, as root and as a user."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.files import beneath
from tests.helpers.descriptors import count_descriptors

NOBODY = 65534


@pytest.fixture(params=["openat2", "components"])
def kernel(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Have the kernel know openat2(2), or have it answer ENOSYS."""
    if request.param == "components":
        monkeypatch.setattr(beneath, "_OPENAT2", 100_000)
    return str(request.param)


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that every user can enter; pytest's can be entered by its user only."""
    folder = Path(os.path.realpath(tempfile.mkdtemp(prefix="dfud-test-")))
    folder.chmod(0o755)
    yield folder
    shutil.rmtree(folder)


@pytest.fixture
def dir_fd(top: Path) -> Iterator[int]:
    """The open directory `top`, of which nothing else may stay open."""
    descriptor = os.open(top, os.O_RDONLY)
    before = count_descriptors()
    yield descriptor
    assert count_descriptors() == before
    os.close(descriptor)


@contextlib.contextmanager
def acting_as(user: str) -> Iterator[None]:
    """Give up root's rights for a while if `user` is "nobody"; skip the test if there are none to give up."""
    if user == "root":
        yield
        return
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)
