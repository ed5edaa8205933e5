"""The digests of Kafka's jars: what is not exactly what was pinned is refused by its name."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from dfud.broker import jars
from dfud.broker.digests import DIGESTS, check_jars, format_digests, read_digests
from dfud.broker.node import KafkaNode
from dfud.errors import BrokerError


def test_the_pinned_jars_are_those_of_this_version() -> None:
    expected = read_digests(DIGESTS.read_text())
    assert f"org/apache/kafka/kafka_2.13/{jars.KAFKA_VERSION}/kafka_2.13-{jars.KAFKA_VERSION}.jar" in expected
    assert all(len(digest) == 64 and name.endswith(".jar") for name, digest in expected.items())


def change(folder: Path) -> None:
    (folder / "org" / "b.jar").write_bytes(b"c")


def add(folder: Path) -> None:
    (folder / "planted.jar").write_bytes(b"p")


def add_to_the_class_path(folder: Path) -> None:
    (folder.parent / "planted.jar").write_bytes(b"p")
    with (folder / "classpath.txt").open("a") as lines:
        lines.write(f"1 {folder.parent}/planted.jar\n")


def shorten_the_class_path(folder: Path) -> None:
    (folder / "classpath.txt").write_text("1 a.jar\n")


@pytest.mark.parametrize(
    ("attack", "message"),
    [
        (change, r"org/b\.jar has another SHA-256"),
        (add, r"planted\.jar is not one of the jars"),
        (add_to_the_class_path, r"planted\.jar is not one of the jars"),
        (shorten_the_class_path, r"org/b\.jar is missing"),
    ],
)
def test_no_java_is_started_with_other_jars(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attack: Callable[[Path], None], message: str
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = jars.cache_dir() / jars.folder_name(jars.KAFKA)
    (folder / "org").mkdir(parents=True)
    resolved = [folder / "a.jar", folder / "org" / "b.jar"]
    for jar in resolved:
        jar.write_bytes(jar.stem.encode())
    jars.write_list(folder, resolved)
    (tmp_path / "pinned").write_text(format_digests(folder, resolved))
    monkeypatch.setattr(jars, "DIGESTS", tmp_path / "pinned")
    assert jars.resolve_kafka() == resolved
    attack(folder)
    monkeypatch.setattr("dfud.broker.node.Jvm", lambda *_: pytest.fail("a Java is started"))
    with pytest.raises(BrokerError, match=rf"{message}.*; remove {folder}, and"):
        KafkaNode(tmp_path / "data").start()


def test_a_jar_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    with pytest.raises(BrokerError, match=r"cannot read .*gone\.jar: No such file"):
        check_jars(tmp_path, [tmp_path / "gone.jar"], {"gone.jar": "0" * 64})
