"""The limits of descriptors: this process's own, as the kernel keeps them."""

from __future__ import annotations

import resource
from collections.abc import Iterator
from pathlib import Path

import pytest

from dfud.doctor.diagnosis import Level
from dfud.doctor.resources import check_resources
from dfud.errors import UsageError
from dfud.uploading.descriptors import allow_descriptors
from tests.helpers.doctoring import options_for


@pytest.fixture(autouse=True)
def _limits_as_before() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


def test_a_soft_limit_that_is_too_low_is_raised(tmp_path: Path) -> None:
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (200, hard))
    allow_descriptors(options_for(tmp_path, n_threads=2))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (200, hard)
    allow_descriptors(options_for(tmp_path, n_threads=32))
    assert resource.getrlimit(resource.RLIMIT_NOFILE) == (360, hard)


def test_a_hard_limit_that_is_too_low_refuses_an_upload(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Not set: only root could raise it again.
    monkeypatch.setattr(resource, "getrlimit", lambda which: (200, 200))
    options = options_for(tmp_path, n_threads=32, queue_max_size=10)
    expected = (
        "about 360 descriptors are needed in a process, and 200 are allowed; "
        "ulimit -n 720, or LimitNOFILE=720 in the unit of its service"
    )
    with pytest.raises(UsageError) as caught:
        allow_descriptors(options)
    assert str(caught.value) == expected
    found = {each.subject: each for each in check_resources(options)}["descriptors"]
    assert (found.level, found.text) == (Level.STOPS, expected)
