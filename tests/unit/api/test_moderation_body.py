from typing import Any

import pytest

from service.api.errors import ApiError
from service.api.openai.moderation_body import MAX_INPUTS, Moderation, read_moderation

IMAGE = {"type": "image_url", "image_url": {"url": "https://cdn.example.com/42.jpg"}}
TEXT = {"type": "text", "text": "a caption"}


def read(body: Any, *, max_images: int = 16) -> Moderation:
    return read_moderation(body, max_images=max_images)


def refused(body: Any) -> ApiError:
    with pytest.raises(ApiError) as caught:
        read(body)
    return caught.value


@pytest.mark.parametrize(("given", "texts"), [("a text", 1), ("", 1), (["a text"], 1), (["one", "two", "three"], 3)])
def test_a_text_is_an_input_of_its_own_alone_or_in_a_list(given: Any, texts: int) -> None:
    moderation = read({"input": given})
    assert (moderation.images, moderation.texts, moderation.is_one) == ([], texts, False)


def test_a_list_of_parts_is_one_input() -> None:
    moderation = read({"input": [TEXT, IMAGE, IMAGE]})
    assert (moderation.texts, moderation.is_one) == (1, True)
    assert [image.place for image in moderation.images] == ["input.1.image_url", "input.2.image_url"]
    assert moderation.images[0].url == IMAGE["image_url"]["url"]  # type: ignore[index]  # a dictionary


def test_a_list_of_texts_as_parts_is_one_input_too() -> None:
    moderation = read({"input": [TEXT, TEXT]})
    assert (moderation.texts, moderation.is_one) == (2, True)


def test_any_model_is_accepted_and_so_are_fields_of_newer_clients() -> None:
    part = IMAGE | {"detail": "new"}
    assert read({"input": [part], "model": "omni-moderation-2031", "new": {"a": 1}}).is_one


def test_policy_and_caption_come_beside_the_fields_of_openai() -> None:
    extras = read({"input": "", "modstream": {"policy": "strict", "caption": "two bottles"}}).extras
    assert (extras.policy, extras.caption, extras.tenant) == ("strict", "two bottles", None)


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({}, "input"),
        ({"input": None}, "input"),
        ({"input": 7}, "input"),
        ({"input": []}, "input"),
        ({"input": [TEXT, "a text"]}, "input.1"),
        ({"input": ["a text", TEXT]}, "input.0"),
        ({"input": [[TEXT]]}, "input.0"),
        ({"input": [{"type": "input_audio"}]}, "input.0"),
        ({"input": [{"type": ["text"]}]}, "input.0"),
        ({"input": [{"type": "text"}]}, "input.0.text"),
        ({"input": [{"type": "image_url", "image_url": {}}]}, "input.0.image_url.url"),
        ({"input": [{"type": "image_url", "image_url": {"url": ""}}]}, "input.0.image_url.url"),
        ({"input": "", "model": 3}, "model"),
        ({"input": "", "modstream": {"policy": ""}}, "modstream.policy"),
        ({"input": [""] * (MAX_INPUTS + 1)}, "input"),
        (["input"], None),
    ],
)
def test_what_is_not_valid_is_a_bad_request_that_names_the_field(body: Any, param: str | None) -> None:
    error = refused(body)
    assert (error.status, error.reason, error.param) == (400, "moderation.invalid", param)


def test_a_refusal_never_holds_what_the_client_sent() -> None:
    assert "secret" not in str(refused({"input": [{"type": "secret"}]}))


def test_more_images_than_the_setting_allows_are_a_bad_request() -> None:
    with pytest.raises(ApiError, match=r"api\.max_images") as caught:
        read({"input": [IMAGE] * 3}, max_images=2)
    assert caught.value.status == 400
