"""What a closer look costs: images of 256, 512 and 1,024 vision tokens."""

import numpy as np

from benchmarks.runner import Comparison, Contender
from benchmarks.vision.model import RunningModel
from service.inference.vision.prompt import prompter
from testing.asking import INSTRUCTIONS

IMAGES = 24
# Height and width in pixels by vision tokens, each of which sees 32 × 32.
SIZES = {256: (512, 512), 512: (512, 1024), 1024: (1024, 1024)}


def budget(running: RunningModel) -> Comparison:
    """Compare budgets of a policy."""
    asker = prompter(INSTRUCTIONS)
    words = running.runner.run(running.model.prepare(None, list(asker.labels)))

    def contender(tokens: int, size: tuple[int, int]) -> Contender:
        pixels = np.random.default_rng(tokens).integers(0, 256, (*size, 3), np.uint8)

        async def ask() -> None:
            await running.model.read(running.ask(asker.which(None), pixels), words)

        return Contender(f"{tokens} vision tokens", lambda: running.side_by_side(ask, IMAGES))

    return Comparison(
        "one token an image, by how closely it is looked at",
        tuple(contender(tokens, size) for tokens, size in SIZES.items()),
        rounds=3,
    )
