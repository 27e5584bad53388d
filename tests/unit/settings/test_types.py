"""Settings that would open nothing, or something else than was meant, are refused when they are read."""

import pytest
from pydantic import ValidationError

from service.delivery.required_topics import output_topics
from service.settings.delivery import DeadLetterSettings
from service.settings.media import FetchSettings, S3Settings
from service.settings.settings import Settings


@pytest.mark.parametrize("network", ["10.20.0.0/16", "10.20.0.1", "fd00:1::/32", "0.0.0.0/0"])
def test_a_network_is_cidr_or_one_address(network: str) -> None:
    assert FetchSettings(allow_networks=(network,)).allow_networks == (network,)


@pytest.mark.parametrize("network", ["10.20.0.1/16", "10.20.0.0/33", "10.20.*", "minio", "", "10.20.0.0-10.20.0.9"])
def test_another_notation_of_a_network_is_refused_by_its_text(network: str) -> None:
    with pytest.raises(ValidationError) as raised:
        FetchSettings(allow_networks=("10.0.0.0/8", network))
    assert f'"{network}" is no network in CIDR form' in str(raised.value)


@pytest.mark.parametrize("host", ["minio", "minio.internal", "Minio.Internal.", "bücher.example", "10.0.0.1"])
def test_a_host_is_a_name(host: str) -> None:
    assert FetchSettings(allow_hosts=(host,)).allow_hosts == (host,)


@pytest.mark.parametrize(
    "host", ["http://minio", "minio:9000", "*.internal", "minio/bucket", "user@minio", "", "[::1]"]
)
def test_what_is_more_than_a_name_is_refused(host: str) -> None:
    with pytest.raises(ValidationError) as raised:
        FetchSettings(allow_hosts=("minio", host))
    assert f'"{host}" is no host name' in str(raised.value)


@pytest.mark.parametrize("server", ["10.0.0.2", "10.0.0.2:5353", "[fd00::2]", "[fd00::2]:65535"])
def test_a_name_server_is_an_address(server: str) -> None:
    assert FetchSettings(dns_servers=(server,)).dns_servers == (server,)


@pytest.mark.parametrize("server", ["dns.internal", "10.0.0.2:0", "10.0.0.2:65536", "10.0.0", "fd00::2", "[::x]", ""])
def test_what_is_no_address_of_a_name_server_is_refused(server: str) -> None:
    with pytest.raises(ValidationError) as raised:
        FetchSettings(dns_servers=("10.0.0.2", server))
    assert f'"{server}" is no address of a name server' in str(raised.value)


@pytest.mark.parametrize("endpoint", [None, "http://minio:9000", "https://s3.example.com/", "http://[fd00::1]:9000"])
def test_an_endpoint_is_a_url(endpoint: str | None) -> None:
    assert S3Settings(endpoint=endpoint).endpoint == endpoint


@pytest.mark.parametrize(
    "endpoint", ["minio:9000", "s3://bucket", "http://id:key@minio", "http://minio?x", "http://", ""]
)
def test_another_endpoint_is_refused(endpoint: str) -> None:
    with pytest.raises(ValidationError, match="an endpoint is a URL such as"):
        S3Settings(endpoint=endpoint)


@pytest.mark.parametrize("tenants", [("a/b",), ("",), ("a b",), ("x" * 101,), ("a.b", "a_b"), ("a", "a")])
def test_a_tenant_whose_name_cannot_end_a_topics_name_has_no_topic(tenants: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        DeadLetterSettings(notice_tenants=tenants)


def test_topics_of_notices_are_created_checked_and_written_like_all_outputs() -> None:
    settings = Settings(dead_letter=DeadLetterSettings(notice_tenants=("shop",)))
    expected = {"dead_letter.notice_tenants: shop": "images.uploaded.dead.notices.shop"}
    assert expected.items() <= output_topics(settings).items()
