"""Who may call the API, and which identity providers the settings may name."""

import pytest
from pydantic import ValidationError

from service.settings.api import ApiSettings, JwtSettings


@pytest.mark.parametrize("host", ["127.0.0.1", "127.8.8.8", "::1", "localhost"])
def test_authentication_may_be_off_on_a_loopback_address(host: str) -> None:
    assert ApiSettings(host=host, authentication="none").authentication == "none"


@pytest.mark.parametrize("host", ["0.0.0.0", "", "::", "10.0.0.1", "example.com", "localhost.example.com"])  # noqa: S104 - what has to be refused
def test_authentication_is_not_off_on_another_address(host: str) -> None:
    with pytest.raises(ValidationError, match=r"api\.authentication none .* set api\.host to 127\.0\.0\.1"):
        ApiSettings(host=host, authentication="none")


@pytest.mark.parametrize(
    "url", ["https://id.example.com", "https://id.example.com/realms/a/", "http://127.0.0.1:8080", "http://[::1]:80/a"]
)
def test_an_issuer_is_an_https_url_or_on_this_machine(url: str) -> None:
    assert JwtSettings(issuer=url, audience="modstream").issuer == url


@pytest.mark.parametrize(
    "url",
    [
        "http://id.example.com",
        "id.example.com",
        "https://a@id.example.com",
        "https://id.example.com?a=b",
        "http://[::1",
    ],
)
def test_signing_keys_over_an_open_network_are_refused(url: str) -> None:
    for name in ("issuer", "jwks_url"):
        with pytest.raises(ValidationError, match="come over https"):
            JwtSettings.model_validate({"issuer": "https://id.example.com", "audience": "a"} | {name: url})


@pytest.mark.parametrize("given", [{"issuer": "https://id.example.com"}, {"audience": "modstream"}])
def test_an_issuer_needs_an_audience(given: dict[str, str]) -> None:
    with pytest.raises(ValidationError, match=r"api\.jwt\.issuer and api\.jwt\.audience go together"):
        JwtSettings.model_validate(given)


@pytest.mark.parametrize("algorithms", [["none"], ["HS256"], ["RS256", "HS512"], []])
def test_algorithms_with_shared_secrets_cannot_be_allowed(algorithms: list[str]) -> None:
    with pytest.raises(ValidationError):
        JwtSettings.model_validate({"algorithms": algorithms})
