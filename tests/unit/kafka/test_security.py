"""Settings of SASL and TLS that do not fit together, and files that cannot be used."""

from __future__ import annotations

from pathlib import Path

import pytest

from dfud.errors import UsageError
from dfud.kafka.security import check_security
from dfud.kafka.user_settings import UserSettings

_USER = {"sasl.username": "u", "sasl.password": "p"}
_OIDC = {
    "sasl.oauthbearer.method": "oidc",
    "sasl.oauthbearer.client.id": "i",
    "sasl.oauthbearer.client.credentials.client.secret": "s",
    "sasl.oauthbearer.token.endpoint.url": "https://x",
}
_PEM = "-----BEGIN X-----\nx\n-----END X-----"


def check(protocol: str, **settings: str) -> None:
    named = {name.replace("__", "."): value for name, value in settings.items()}
    check_security(UserSettings({"security.protocol": protocol, **named}, "producer"), "file")


@pytest.mark.parametrize("protocol", ["", "PLAINTEXT", "plaintext", "SSL"])
@pytest.mark.parametrize("name", ["sasl.username", "sasl.mechanism", "sasl.oauthbearer.method"])
def test_sasl_needs_its_protocol(protocol: str, name: str) -> None:
    with pytest.raises(UsageError, match=rf"^{name} in file has no effect .* set security.protocol to SASL_SSL"):
        check(protocol, **{name: "x"})


@pytest.mark.parametrize(("protocol", "advice"), [("", "SSL"), ("sasl_plaintext", "SASL_SSL")])
def test_tls_needs_its_protocol(protocol: str, advice: str) -> None:
    settings = {"sasl.mechanism": "PLAIN", **_USER} if protocol else {}
    with pytest.raises(
        UsageError, match=rf"^ssl.ca.location in file .* unencrypted; set security.protocol to {advice},"
    ):
        check(protocol, ssl__ca__location="/x", **settings)


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({}, "sasl.mechanism in file is not set; set it to one of PLAIN, "),
        ({"sasl.mechanisms": "plain"}, "sasl.mechanisms in file is not one of .*to capitals"),
        ({"sasl.mechanism": "SCRAM-SHA-1"}, "sasl.mechanism in file is not one of PLAIN, SCRAM-SHA-256"),
        ({"sasl.mechanism": "PLAIN"}, "PLAIN in file needs sasl.username, sasl.password; set them"),
        ({"sasl.mechanism": "SCRAM-SHA-256", "sasl.username": "u"}, "needs sasl.password; set it"),
        ({"sasl.mechanism": "OAUTHBEARER"}, "OAUTHBEARER in file needs sasl.oauthbearer.method = oidc and "),
        ({"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "default"}, "needs sasl.oauthbearer.method"),
        (
            {
                "sasl.mechanism": "OAUTHBEARER",
                "sasl.oauthbearer.method": "OIDC",
                "sasl.oauthbearer.client.id": "i",
            },
            "needs sasl.oauthbearer.client.secret, sasl.oauthbearer.token.endpoint.url; set them",
        ),
    ],
)
def test_a_mechanism_needs_its_settings(settings: dict[str, str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        check("SASL_SSL", **settings)


@pytest.mark.parametrize(
    "settings",
    [
        {"sasl.mechanism": "PLAIN", **_USER},
        {"sasl.mechanisms": "GSSAPI"},
        {"sasl.mechanism": "OAUTHBEARER", **_OIDC},
        {"sasl.mechanism": "OAUTHBEARER", "enable.sasl.oauthbearer.unsecure.jwt": "true"},
        {"sasl.mechanism": "OAUTHBEARER", "sasl.oauthbearer.method": "oidc",
         "sasl.oauthbearer.metadata.authentication.type": "azure_imds"},
    ],
)  # fmt: skip
def test_what_has_all_it_needs(settings: dict[str, str]) -> None:
    check("sasl_ssl", **settings)


@pytest.mark.parametrize(
    "name", ["ssl.ca.location", "ssl.certificate.location", "ssl.key.location", "ssl.crl.location"]
)
def test_a_file_that_cannot_be_used_is_named_with_its_setting(tmp_path: Path, name: str) -> None:
    for path, reason in (
        (tmp_path / "none", "No such file or directory"),
        (tmp_path / "empty", "not in the PEM format"),
    ):
        (tmp_path / "empty").touch()
        with pytest.raises(UsageError) as error:
            check("SSL", **{name: str(path)})
        assert str(error.value).startswith(f"{name} in file names a file that ")
        assert str(path) in str(error.value)
        assert reason in str(error.value)


def test_files_and_texts_that_can_be_used(tmp_path: Path) -> None:
    file = tmp_path / "file.pem"
    file.write_text(_PEM)
    check("SSL", **{"ssl.ca.location": str(tmp_path)})
    check(
        "SSL", **{"ssl.ca.location": "probe", "ssl.certificate.location": str(file), "ssl.key.location": str(file)}
    )
    check("SSL", **{"ssl.ca.pem": _PEM, "ssl.key.pem": _PEM})


@pytest.mark.parametrize(
    ("settings", "fault"),
    [
        ({"ssl.ca.pem": "/etc/ca.pem"}, "ssl.ca.pem in file is not in the PEM format; .* use ssl.ca.location"),
        ({"ssl.key.pem": "-----BEGIN X-----"}, "ssl.key.pem in file has no line that begins with -----END"),
        ({"ssl.keystore.location": __file__}, "ssl.keystore.location in file needs ssl.keystore.password"),
    ],
)
def test_texts_and_stores(settings: dict[str, str], fault: str) -> None:
    with pytest.raises(UsageError, match=fault):
        check("SSL", **settings)
