"""TLS, with a certificate of our own, on a broker of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from benchmarks.answers import Answer, Plan, Question
from benchmarks.questions.pairs import Setting, answer_pairs
from benchmarks.stage import Stage

TITLE = "TLS"


def missing() -> str:
    return "" if shutil.which("openssl") else "there is no openssl command to make a certificate with"


def make_certificate(folder: Path) -> tuple[Path, Path]:
    """Make a key with a certificate for 127.0.0.1 that vouches for itself: (both in one file, certificate)."""
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


def ask(stage: Stage, plan: Plan) -> Answer:
    both, certificate = make_certificate(stage.work / "tls")
    properties = {
        "listener.security.protocol.map": "CLIENT:SSL,INTERNAL:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "ssl.keystore.type": "PEM",
        "ssl.keystore.location": str(both),
    }
    client = (("security.protocol", "ssl"), ("ssl.ca.location", str(certificate)))
    with Stage(stage.work, stage.say, properties, name="kafka-tls") as safe:
        return answer_pairs(
            safe,
            plan,
            TITLE,
            [Setting("TLS", properties=client), Setting("TLS, 1 producer", threads=1, properties=client)],
        )


QUESTION = Question("tls", TITLE, ask, missing)
