"""Resolving and keeping jars: the list, its checks, and concurrent processes."""

from __future__ import annotations

import sys
import threading
import time
import types
import zipfile
from pathlib import Path

import pytest

from dfud.broker import jars
from dfud.errors import BrokerError

COORDINATES = ("org.example:tool_2.13:1.2",)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    return tmp_path / "dfud"


class Artifact:
    """A jar, and the result of downloading it: bytes or an error."""

    groupId = "org.example"

    def __init__(self, maven: FakeMaven, name: str, scope: str, optional: bool) -> None:
        self.artifact, self.artifactId, self.scope, self.optional = self, name, scope, optional
        self._maven = maven

    def resolve(self) -> Path:
        path = self._maven.repo_cache / "org" / f"{self.artifactId}.jar"
        path.parent.mkdir(parents=True, exist_ok=True)
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr(zipfile.ZipInfo("content"), self.artifactId * 100)
        self._maven.spoil(path)
        return path


class FakeMaven:
    """A fake of jgo's MavenContext and its resolver."""

    downloads = 0

    def __init__(self, repo_cache: Path, **_: object) -> None:
        self.repo_cache = repo_cache
        self.resolver = self

    def create_dependency(self, coordinate: str) -> Artifact:
        return Artifact(self, coordinate.split(":")[1], "compile", False)

    def resolve(self, wanted: list[Artifact]) -> tuple[list[Artifact], list[Artifact]]:
        FakeMaven.downloads += 1
        time.sleep(0.05)
        names = (("library", "runtime", False), ("mock", "test", False), ("extra", "compile", True))
        return wanted, [Artifact(self, *name) for name in names]

    @staticmethod
    def spoil(path: Path) -> None:
        """Do not change the jar."""


@pytest.fixture(autouse=True)
def maven(monkeypatch: pytest.MonkeyPatch) -> type[FakeMaven]:
    """jgo.maven, replaced by a fake that needs no network."""
    module = types.ModuleType("jgo.maven")
    module.MavenContext = FakeMaven  # type: ignore[attr-defined]
    module.PythonResolver = object  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "jgo.maven", module)
    monkeypatch.setattr(FakeMaven, "downloads", 0)
    return FakeMaven


@pytest.mark.parametrize(
    ("coordinates", "name"),
    [
        pytest.param(COORDINATES, "tool_2.13-1.2", id="one"),
        pytest.param((*COORDINATES, "org.other:log:3"), "tool_2.13-1.2-14aedb0b", id="more"),
    ],
)
def test_a_cache_folder_is_named_after_its_coordinates(coordinates: tuple[str, ...], name: str) -> None:
    assert jars.folder_name(coordinates) == name


@pytest.mark.parametrize("value", ["", "relative/path"])
def test_a_relative_cache_home_is_ignored(value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", value)
    assert jars.cache_dir() == Path.home() / ".cache" / "dfud"


@pytest.mark.usefixtures("maven")
def test_jars_are_downloaded_once_and_announced(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    resolved = jars.resolve(*COORDINATES, announce=said.append)
    assert [jar.name for jar in resolved] == ["tool_2.13.jar", "library.jar"]
    assert all(jar.is_file() for jar in resolved)
    assert len(said) == 2

    monkeypatch.setitem(sys.modules, "jgo.maven", None)  # an import would fail now
    assert jars.resolve(*COORDINATES, announce=said.append) == resolved
    assert len(said) == 2
    assert sorted(path.name for path in cache.iterdir()) == ["tool_2.13-1.2", "tool_2.13-1.2.lock"]


def test_a_library_that_several_coordinates_need_is_resolved_once() -> None:
    names = [jar.name for jar in jars.resolve(*COORDINATES, "org.example:log:3")]
    assert names == ["tool_2.13.jar", "library.jar", "log.jar"]


def test_a_truncated_jar_is_downloaded_again(maven: type[FakeMaven]) -> None:
    jar = jars.resolve(*COORDINATES)[0]
    whole = jar.read_bytes()
    jar.write_bytes(whole[:-1])
    assert jars.resolve(*COORDINATES)[0].read_bytes() == whole
    assert maven.downloads == 2


def test_an_interrupted_download_is_not_used(cache: Path) -> None:
    partial = cache / "tool_2.13-1.2.partial" / "org"
    partial.mkdir(parents=True)
    (partial / "tool_2.13.jar").write_bytes(b"half")
    assert zipfile.is_zipfile(jars.resolve(*COORDINATES)[0])


def test_a_damaged_download_is_an_error_and_is_removed(
    cache: Path, maven: type[FakeMaven], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(maven, "spoil", staticmethod(lambda path: path.write_bytes(b"a portal's login page")))
    with pytest.raises(BrokerError, match=r"cannot download org\.example:tool_2\.13:1\.2: .* network"):
        jars.resolve(*COORDINATES)
    assert [path.name for path in cache.iterdir()] == ["tool_2.13-1.2.lock"]


def test_a_proxy_whose_certificate_is_not_known_is_told_from_a_missing_network(
    maven: type[FakeMaven], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(_path: Path) -> None:
        raise OSError("[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed")

    monkeypatch.setattr(maven, "spoil", staticmethod(refuse))
    with pytest.raises(BrokerError, match="set REQUESTS_CA_BUNDLE"):
        jars.resolve(*COORDINATES)


def test_concurrent_processes_download_once(maven: type[FakeMaven]) -> None:
    results: list[list[Path]] = []
    threads = [
        threading.Thread(target=lambda: results.append(jars.resolve(*COORDINATES))) for _ in range(4)
    ]  # threads do, as an flock belongs to a descriptor, not to a process
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    assert maven.downloads == 1


def test_without_jgo_the_message_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jgo.maven", None)
    with pytest.raises(BrokerError, match=r"pip install 'dfud\[broker\]'"):
        jars.resolve(*COORDINATES)


def test_a_cache_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(BrokerError, match="set XDG_CACHE_HOME"):
        jars.resolve(*COORDINATES)
