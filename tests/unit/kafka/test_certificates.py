"""The file that cannot be used is named with its setting."""

import re
from pathlib import Path

import pytest

from service.kafka.certificates import ssl_context
from service.kafka.errors import CertificatesUnreadableError
from service.settings.kafka import KafkaSettings
from testing.secured_kafka import CERTIFICATES

AUTHORITY, CLIENT, LOCKED_KEY = (CERTIFICATES / name for name in ("ca.pem", "client.pem", "locked_key.pem"))


def settings(**files: Path) -> KafkaSettings:
    return KafkaSettings(security_protocol="SSL", **files)


@pytest.fixture(params=["missing", "empty", "no PEM", "a folder"])
def unusable(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "file.pem"
    match request.param:
        case "empty":
            path.touch()
        case "no PEM":
            path.write_text("MIIB", encoding="ascii")
        case "a folder":
            path.mkdir()
    return path


def assert_named(path: Path, setting: str, files: KafkaSettings) -> None:
    expected = re.escape(f"the file {path} (setting {setting}) cannot be used: ") + "."
    with pytest.raises(CertificatesUnreadableError, match=expected):
        ssl_context(files)


def test_files_that_fit_are_loaded() -> None:
    assert ssl_context(settings(ssl_cafile=AUTHORITY, ssl_certfile=CLIENT)).cert_store_stats()["x509"] == 1
    assert ssl_context(settings(ssl_cafile=AUTHORITY, ssl_certfile=CLIENT, ssl_keyfile=CLIENT))


def test_authorities_of_no_use_are_named(unusable: Path) -> None:
    assert_named(unusable, "kafka.ssl_cafile", settings(ssl_cafile=unusable, ssl_certfile=CLIENT))


def test_a_certificate_of_no_use_is_named(unusable: Path) -> None:
    assert_named(unusable, "kafka.ssl_certfile", settings(ssl_certfile=unusable, ssl_keyfile=CLIENT))


def test_a_key_of_no_use_is_named(unusable: Path) -> None:
    assert_named(unusable, "kafka.ssl_keyfile", settings(ssl_certfile=CLIENT, ssl_keyfile=unusable))


def test_a_certificate_without_a_key_is_named() -> None:
    assert_named(AUTHORITY, "kafka.ssl_certfile", settings(ssl_certfile=AUTHORITY))


def test_a_key_with_a_password_is_named_and_no_password_is_asked_for() -> None:
    assert_named(LOCKED_KEY, "kafka.ssl_keyfile", settings(ssl_certfile=CLIENT, ssl_keyfile=LOCKED_KEY))
