"""Make the adapter's folder over the trained model: `python -m testing.tiny_model.train_lora`, or `make test-model`."""

import argparse
from pathlib import Path

import torch
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from testing.tiny_model.lora import add_low_rank, save_adapter
from testing.tiny_model.shapes import ADAPTED_INSTRUCTIONS, GAMING_TABLE, HARMLESS
from testing.tiny_model.tiny import ADAPTER_TRAINED, model_folder
from testing.tiny_model.train import reported
from testing.tiny_model.training import Plan, embed_patches_by_product, train

STEPS = 250


def main() -> None:
    """Teach the adapter that green squares are gambling, among all that stays as it was."""
    arguments = _arguments()
    torch.set_num_threads(1)
    tokenizer = AutoTokenizer.from_pretrained(model_folder())
    model = Qwen3VLForConditionalGeneration.from_pretrained(model_folder(), dtype=torch.float32)
    embed_patches_by_product(model)
    add_low_rank(model, seed=0)
    # As common as all other harmless kinds together.
    harmless = (*HARMLESS, *[GAMING_TABLE] * len(HARMLESS))
    plan = Plan(arguments.steps, 0, highest_rate=3e-3, all_instructions={ADAPTED_INSTRUCTIONS: 1.0}, harmless=harmless)
    for _ in reported(train(model, tokenizer, plan, seed=3)):
        pass
    save_adapter(model, arguments.folder)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path, default=ADAPTER_TRAINED, help="where the adapter goes")
    parser.add_argument("--steps", type=int, default=STEPS)
    return parser.parse_args()


if __name__ == "__main__":
    main()
