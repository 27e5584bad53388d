"""What an adapter is trained on is what the engine asks, token by token and pixel by pixel."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from service.inference.vision.prompt import Prompt, prompter
from service.inference.vision.token_model import ModelRequest
from service.inference.vllm.chat_tokens import tokenizer_chat
from service.tools.finetuning.encoding import encoder
from service.tools.finetuning.examples import TrainingExample
from testing.tiny_model.held_out import Sample, samples
from testing.tiny_model.shapes import INSTRUCTIONS
from testing.tiny_model.tiny import model_folder

if TYPE_CHECKING:
    from service.inference.vllm.model import VllmModel

pytestmark = pytest.mark.asyncio(loop_scope="session")

SIZE = {"shortest_edge": 32 * 32, "longest_edge": 256 * 32 * 32}
SAMPLES = samples(3)
PROMPTER = prompter(INSTRUCTIONS)


async def engine_sees(model: "VllmModel", sample: Sample, prompt: Prompt) -> Any:
    """Return what vLLM makes of a question: its token ids and its patches."""
    from service.inference.vllm.model import _render  # noqa: PLC0415 - vLLM is not everywhere

    engine, chat = model._running()
    # A key of its own: the engine makes nothing of a picture that it has prepared before.
    key = f"training/{sample.key}/{prompt.question}"
    ask = ModelRequest("training", prompt, sample.pixels, key, None)
    return await _render(engine, ask, chat.prompt(prompt))


def packed(sample: Sample, folder: Path, prompt: Prompt) -> Any:
    """Return the sequence that is trained on for a question."""
    from transformers import AutoProcessor  # noqa: PLC0415 - is not everywhere

    from service.tools.finetuning.training.packing import Packer  # noqa: PLC0415 - as above

    processor = AutoProcessor.from_pretrained(model_folder())
    file = folder / "picture.png"
    Image.fromarray(sample.pixels).save(file)
    example = TrainingExample(file, "1", "1", "train", "which", prompt, {"A": 1.0}, "", 1.0)
    writer = encoder(tokenizer_chat(processor.tokenizer), PROMPTER, PROMPTER.labels)
    image_token = processor.tokenizer.convert_tokens_to_ids("<|image_pad|>")
    (found,) = Packer(writer.prefix, image_token, processor.image_processor, SIZE, 10_000).passes(
        writer.images([example])
    )
    return found


@pytest.mark.parametrize("sample", SAMPLES, ids=["no caption", "caption", "order"])
@pytest.mark.parametrize("question", ["which", "is_it", "describe"])
async def test_token_ids_and_patches_are_the_engines(
    model: "VllmModel", tmp_path: Path, sample: Sample, question: str
) -> None:
    prompt = {
        "which": PROMPTER.which(sample.caption),
        "is_it": PROMPTER.is_it(sample.caption, "weapons"),
        "describe": PROMPTER.describe(sample.caption),
    }[question]
    engine = await engine_sees(model, sample, prompt)
    trained = packed(sample, tmp_path, prompt)
    assert trained.ids[0].tolist() == list(engine["prompt_token_ids"])
    (item,) = engine["mm_kwargs"]["image"]
    patches = item["pixel_values"].data
    # The engine keeps them as bytes, and scales them to [-1, 1] beside the model.
    assert ((trained.pixels + 1) * 127.5).round().int().tolist() == patches.int().tolist()
