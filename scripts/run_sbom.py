"""Write the software bill of materials of a release; started by ``scripts/sbom``.

Needs nothing but Python: cyclonedx-py, which lists the Python packages, runs in an environment of its own. What it
does not know of is added here: the shared objects that a wheel brings along, and the jars of the embedded Kafka.
"""

from __future__ import annotations

import hashlib
import json
import sys
import tempfile
from pathlib import Path
from typing import Any

from distributions import DIST, current_distributions, install, make_environment, output_of, release_tools
from environments import ROOT, find_pythons, run

Json = dict[str, Any]

_VALIDATE = """
import sys
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
text = open(sys.argv[1], encoding="utf-8").read()
error = JsonStrictValidator(SchemaVersion.from_version(sys.argv[2])).validate_str(text)
sys.exit(f"{sys.argv[1]} is no valid CycloneDX: {error}" if error else 0)
"""


def jar_component(digest: str, path: str) -> Json:
    """Return the component of a jar, for its line in ``kafka.sha256``.

    >>> jar_component("ab", "org/slf4j/slf4j-api/1.7.36/slf4j-api-1.7.36.jar")["purl"]
    'pkg:maven/org.slf4j/slf4j-api@1.7.36?type=jar'
    """
    *group, name, version, file = path.split("/")
    classifier = file[len(f"{name}-{version}") : -len(".jar")].lstrip("-")
    purl = (
        f"pkg:maven/{'.'.join(group)}/{name}@{version}?{f'classifier={classifier}&' if classifier else ''}type=jar"
    )
    return {
        "bom-ref": purl,
        "type": "library",
        "group": ".".join(group),
        "name": name,
        "version": version,
        "scope": "optional",
        "hashes": [{"alg": "SHA-256", "content": digest}],
        "purl": purl,
    }


def shared_objects(packages: Path) -> dict[str, list[Json]]:
    """Return the shared objects that wheels bring along in ``NAME.libs``, as components by the package's name."""
    found: dict[str, list[Json]] = {}
    for path in sorted(packages.glob("*.libs/*.so*")):
        package = path.parent.name[: -len(".libs")].replace("_", "-")
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        component = {
            "bom-ref": f"{package}/{path.name}",
            "type": "file",
            "name": path.name,
            "hashes": [{"alg": "SHA-256", "content": digest}],
        }
        found.setdefault(package, []).append(component)
    return found


def complete(bom: Json, jars: list[Json], objects: dict[str, list[Json]]) -> Json:
    """Return the bill of an environment as that of dfud: it is about dfud, and has all that dfud runs."""
    [dfud] = [component for component in bom["components"] if component["name"] == "dfud"]
    dfud["type"] = "application"
    dfud.pop("externalReferences", None)  # where the wheel lay
    components = [component for component in bom["components"] if component is not dfud]
    for component in components:
        if component["name"] in objects:
            component["components"] = objects[component["name"]]
    references = [jar["bom-ref"] for jar in jars]
    dependencies = {each["ref"]: dict(each) for each in bom["dependencies"]}
    own = dependencies.setdefault(dfud["bom-ref"], {"ref": dfud["bom-ref"]})
    own["dependsOn"] = sorted({*own.get("dependsOn", ()), *references})
    dependencies.update({reference: {"ref": reference} for reference in references})
    return {
        **bom,
        "metadata": {**bom.get("metadata", {}), "component": dfud},
        "components": [*components, *jars],
        "dependencies": sorted(dependencies.values(), key=lambda each: str(each["ref"])),
    }


def main(arguments: list[str]) -> int:
    """Write it; return the exit status."""
    built = current_distributions()
    output = Path(arguments[0]) if arguments else DIST / f"dfud-{built.version}.cdx.json"
    with tempfile.TemporaryDirectory() as folder:
        venv = Path(folder) / "venv"
        make_environment(find_pythons()[-1][1], venv)
        install(f"{built.wheel}[broker]", venv)
        list_packages = (release_tools() / "cyclonedx-py", "environment", "--output-reproducible", "--of", "JSON")
        bom = json.loads(output_of(*list_packages, venv / "bin" / "python"))
        [packages] = venv.glob("lib/python*/site-packages")
        objects = shared_objects(packages)
    lines = (ROOT / "dfud" / "broker" / "kafka.sha256").read_text(encoding="ascii").splitlines()
    jars = [jar_component(*line.split("  ")) for line in lines]
    output.write_text(json.dumps(complete(bom, jars, objects), indent=2) + "\n", encoding="utf-8")
    if not run(release_tools() / "python", "-c", _VALIDATE, output, bom["specVersion"]):
        return 1
    print(f"{output}: {len(bom['components']) - 1} Python packages, {len(jars)} jars")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
