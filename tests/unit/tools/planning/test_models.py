import pytest

from service.tools.planning.models import MODELS, ModelNameError, find_model, short_name

# What transformers counts in a Qwen3VLForConditionalGeneration made from such a config.json.
PARAMETERS = {"2B": 2_127_532_032, "4B": 4_437_815_808, "8B": 8_767_123_696, "32B": 33_357_390_064}


@pytest.mark.parametrize("size", PARAMETERS)
def test_a_models_shape_gives_exactly_the_number_of_parameters_that_transformers_counts(size: str) -> None:
    assert find_model(size).parameters == PARAMETERS[size]


def test_every_model_is_compared_with_a_counted_one() -> None:
    assert [short_name(model) for model in MODELS] == list(PARAMETERS)


def test_a_token_costs_twice_its_weights_and_a_little_for_what_stands_before_it() -> None:
    model = find_model("8B")
    assert model.token_operations(context=0) == pytest.approx(13.9e9, rel=0.01)
    assert model.token_operations(context=1000) - model.token_operations(context=0) == 4 * 4096 * 1000 * 36


def test_a_vision_token_costs_four_patches_and_more_in_larger_images() -> None:
    model = find_model("8B")
    small, large = (model.vision_operations(tokens) / tokens for tokens in (1, 1024))
    # The attention of a single token's patches is next to nothing.
    assert small == pytest.approx(3.6e9, rel=0.02)
    assert large > 1.5 * small


def test_the_cache_holds_a_key_and_a_value_a_layer() -> None:
    assert find_model("8B").kv_bytes() == 2 * 36 * 8 * 128 * 2
    assert find_model("8B").kv_bytes(element_bytes=1) == 36 * 8 * 128 * 2


@pytest.mark.parametrize("name", ["8B", "8b", "Qwen/Qwen3-VL-8B-Instruct", "Qwen/Qwen3-VL-8B-Instruct-FP8"])
def test_a_model_goes_by_its_size_and_by_its_name_on_the_hub(name: str) -> None:
    assert short_name(find_model(name)) == "8B"


def test_an_unknown_model_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(ModelNameError, match="2B, 4B, 8B, 32B"):
        find_model("7B")
