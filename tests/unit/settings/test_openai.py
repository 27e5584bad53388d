"""Which servers the settings may name."""

import pytest
from pydantic import ValidationError

from service.settings.openai import OpenAISettings


@pytest.mark.parametrize(
    ("url", "base"),
    [
        ("http://gpu-1:8000", "http://gpu-1:8000"),
        ("http://gpu-1:8000/", "http://gpu-1:8000"),
        ("http://gpu-1:8000/v1", "http://gpu-1:8000"),
        ("https://models.internal/qwen/v1/", "https://models.internal/qwen"),
        ("http://[fd00::1]:8000", "http://[fd00::1]:8000"),
    ],
)
def test_a_server_is_named_by_its_url_as_openais_clients_have_it_or_without_the_version(url: str, base: str) -> None:
    assert OpenAISettings(base_urls=(url,)).base_urls == (base,)


@pytest.mark.parametrize("url", ["gpu-1:8000", "http://", "http://user:word@gpu-1", "http://gpu-1?x=1", "ftp://gpu-1"])
def test_something_else_than_a_base_url_is_refused_by_its_text(url: str) -> None:
    with pytest.raises(ValidationError, match="is no base URL such as"):
        OpenAISettings(base_urls=("http://gpu-1:8000", url))


@pytest.mark.parametrize("urls", [(), ("http://gpu-1", "http://gpu-1/v1")])
def test_there_is_a_server_and_each_stands_there_once(urls: tuple[str, ...]) -> None:
    with pytest.raises(ValidationError):
        OpenAISettings(base_urls=urls)


def test_pauses_do_not_shrink() -> None:
    with pytest.raises(ValidationError, match="max_return_after_s must not be under"):
        OpenAISettings(return_after_s=10.0, max_return_after_s=5.0)


def test_the_key_is_not_shown() -> None:
    assert "secret word" not in repr(OpenAISettings.model_validate({"api_key": "secret word"}))
