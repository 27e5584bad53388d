import pytest
from pydantic import ValidationError

from service.settings.vllm import VllmSettings, adapter_name, adapter_path


def test_an_adapter_is_a_name_and_a_path() -> None:
    (adapter,) = VllmSettings(adapters=("shop=/models/a=b",)).adapters
    assert (adapter_name(adapter), adapter_path(adapter)) == ("shop", "/models/a=b")


@pytest.mark.parametrize("text", ["shop", "=path", "shop=", "two words=path"])
def test_what_names_no_adapter_is_refused(text: str) -> None:
    with pytest.raises(ValidationError, match="names no adapter; one is written as NAME=PATH"):
        VllmSettings(adapters=(text,))


def test_a_name_stands_for_one_adapter() -> None:
    with pytest.raises(ValidationError, match="stands here twice"):
        VllmSettings(adapters=("shop=/a", "shop=/b"))
