"""The kernel's list of leases."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from dfud.watch.leases import WriteLeases, parse_write_leases

LOCKS = """\
1: POSIX  ADVISORY  WRITE 881 fe:00:131 0 EOF
2: LEASE  ACTIVE    WRITE 4711 fe:01:1234 0 EOF
3: LEASE  ACTIVE    READ  4711 fe:01:1235 0 EOF
4: LEASE  BREAKING  WRITE 4711 00:2e:77 0 EOF
4: -> FLOCK  ADVISORY  WRITE 12 fe:01:1236 0 EOF
5: FLOCK  ADVISORY  WRITE -1 fe:01:1237 0 EOF
6: DELEG  ACTIVE    READ  12 fe:01:1238 0 EOF
"""


def test_only_leases_for_writing_count() -> None:
    assert parse_write_leases(LOCKS) == [(os.makedev(0xFE, 1), 1234), (os.makedev(0, 0x2E), 77)]


def test_the_list_is_read_again_when_it_is_old(tmp_path: Path) -> None:
    now, locks = 0.0, tmp_path / "locks"
    locks.write_text(LOCKS)
    leases = WriteLeases(lambda: now, str(locks))
    assert leases.has(os.makedev(0xFE, 1), 1234)
    assert not leases.has(os.makedev(0xFE, 1), 1235)
    locks.write_text("")
    assert leases.has(os.makedev(0xFE, 1), 1234)
    now = 0.6
    assert not leases.has(os.makedev(0xFE, 1), 1234)


@pytest.mark.parametrize("text", [None, "", "nonsense\n"])
def test_without_a_list_nothing_is_known(tmp_path: Path, text: str | None) -> None:
    if text is not None:
        (tmp_path / "locks").write_text(text)
    assert not WriteLeases(path=str(tmp_path / "locks")).has(1, 1)
