"""TLS, with a self-signed certificate, on a broker of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.benchmark import Benchmark, Plan, Result
from benchmarks.suite.pairs import Setting, compare_settings
from benchmarks.testbed import Testbed

TITLE = "TLS"


def missing() -> str:
    """Return what it needs and this machine lacks, or ""."""
    return "" if shutil.which("openssl") else "there is no openssl command, which makes the certificate"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key and a self-signed certificate for 127.0.0.1: (path of both in one file, of the certificate)."""
    folder.mkdir(parents=True, exist_ok=True)
    key, certificate, both = folder / "key.pem", folder / "certificate.pem", folder / "both.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(key), "-out", str(certificate), "-days", "2", "-subj", "/CN=127.0.0.1"),
            *("-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
    both.write_text(key.read_text() + certificate.read_text())
    return both, certificate


def run(testbed: Testbed, plan: Plan) -> Result:
    """Compare dfud with the C loop over TLS."""
    both, certificate = make_certificate(testbed.work / "tls")
    properties = {
        "listener.security.protocol.map": "CLIENT:SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
    }
    client = (("security.protocol", "ssl"), ("ssl.ca.location", str(certificate)))
    with Testbed(testbed.work, testbed.announce, properties, name="kafka-tls") as tls_testbed:
        return compare_settings(
            tls_testbed,
            plan,
            TITLE,
            [Setting("TLS", properties=client), Setting("TLS, 1 producer", threads=1, properties=client)],
        )


BENCHMARK = Benchmark("tls", TITLE, run, missing)
