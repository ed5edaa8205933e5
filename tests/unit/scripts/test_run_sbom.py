"""The bill of materials has what cyclonedx-py does not know of."""

from __future__ import annotations

from pathlib import Path

import run_sbom

from dfud.broker.digests import DIGESTS

JAR = "com/github/luben/zstd-jni/1.5.6-10/zstd-jni-1.5.6-10.jar"


def environment() -> run_sbom.Json:
    """Return what cyclonedx-py says of an environment."""
    return {
        "bomFormat": "CycloneDX",
        "components": [
            {"bom-ref": "click==8", "name": "click", "type": "library"},
            {
                "bom-ref": "dfud==1",
                "name": "dfud",
                "type": "library",
                "externalReferences": [{"url": "file:///here"}],
            },
        ],
        "dependencies": [{"ref": "click==8"}, {"ref": "dfud==1", "dependsOn": ["click==8"]}],
        "metadata": {"tools": {}},
    }


def test_it_is_about_dfud_and_has_its_jars() -> None:
    jar = run_sbom.jar_component("ab12", JAR)
    bom = run_sbom.complete(environment(), [jar], {})
    assert bom["metadata"] == {
        "tools": {},
        "component": {"bom-ref": "dfud==1", "name": "dfud", "type": "application"},
    }
    assert [component["name"] for component in bom["components"]] == ["click", "zstd-jni"]
    assert {each["ref"]: each.get("dependsOn") for each in bom["dependencies"]} == {
        "click==8": None,
        "dfud==1": ["click==8", jar["purl"]],
        jar["purl"]: None,
    }


def test_a_jar_has_its_coordinates_and_its_digest() -> None:
    jar = run_sbom.jar_component("ab12", JAR)
    assert jar["purl"] == "pkg:maven/com.github.luben/zstd-jni@1.5.6-10?type=jar"
    assert jar["hashes"] == [{"alg": "SHA-256", "content": "ab12"}]
    native = run_sbom.jar_component("cd", "io/netty/epoll/4.1/epoll-4.1-linux-x86_64.jar")
    assert native["purl"] == "pkg:maven/io.netty/epoll@4.1?classifier=linux-x86_64&type=jar"


def test_no_two_jars_of_the_embedded_kafka_are_taken_for_one() -> None:
    lines = DIGESTS.read_text(encoding="ascii").splitlines()
    jars = [run_sbom.jar_component(*line.split("  ")) for line in lines]
    assert len({jar["bom-ref"] for jar in jars}) == len(lines) > 40


def test_the_shared_objects_of_a_wheel_are_part_of_its_package(tmp_path: Path) -> None:
    (tmp_path / "a_b.libs").mkdir()
    (tmp_path / "a_b.libs" / "libc-1.so.1").write_bytes(b"")
    objects = run_sbom.shared_objects(tmp_path)
    assert [component["name"] for component in objects["a-b"]] == ["libc-1.so.1"]
    bom = environment()
    bom["components"][0]["name"] = "a-b"
    assert run_sbom.complete(bom, [], objects)["components"][0]["components"] == objects["a-b"]
