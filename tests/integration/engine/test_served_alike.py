"""One model, in this process and behind `vllm serve`: the same probabilities."""

import pytest

from service.inference.openai.model import OpenAIModel
from service.inference.vision.token_model import ModelRequest, TokenModel
from service.settings.openai import OpenAISettings
from testing.vllm_server import VllmServer
from tests.contract.engine.images import noise
from tests.integration.engine.asking import LABELS, PROMPTER

pytestmark = pytest.mark.asyncio(loop_scope="session")

ANSWERS = (*LABELS, "yes", "no")


def ask(seed: int, caption: str | None) -> ModelRequest:
    """Ask about noise, on which the model's shares are spread."""
    name = f"compared {seed} {caption}"
    return ModelRequest(name, PROMPTER.which(caption), noise(128, 160, seed=seed), name, adapter=None)


async def test_labels_are_read_as_the_engine_in_process_reads_them(model: TokenModel, tiny_server: VllmServer) -> None:
    served = OpenAIModel(OpenAISettings(base_urls=(tiny_server.url,)))
    try:
        await served.start()
        words = await model.prepare(None, ANSWERS)
        assert await served.prepare(None, ANSWERS) == words
        for asked in (ask(seed, caption) for seed in range(3) for caption in (None, 'a "red" shirt, 50 % off\n表情')):
            here, there = await model.read(asked, words), await served.read(asked, words)
            assert there == pytest.approx(dict(here), abs=0.05)
    finally:
        await served.stop()
