"""A Qwen3-VL of less than a million parameters: the real architecture in everything but size."""

from pathlib import Path

import torch
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Qwen2VLImageProcessor,
    Qwen3VLConfig,
    Qwen3VLForConditionalGeneration,
    Qwen3VLProcessor,
    Qwen3VLVideoProcessor,
)

from testing.tiny_model.tokenizer import CHAT_TEMPLATE, MAX_TOKENS

# A GPU image of 16 × 16 merged patches at most: what the instructions allows by default.
_SIZE = {"shortest_edge": 32 * 32, "longest_edge": 512 * 512}
# Of random weights: about 1 / √64, what a hidden size of 64 wants; the architecture's default is meant for thousands.
_SPREAD = 0.1
_WAVES = 4
_PATCHES = {"patch_size": 16, "merge_size": 2, "temporal_patch_size": 2}
_NORM = {"image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}


def configuration(tokenizer: PreTrainedTokenizerFast, *, text_layers: int = 4, vision_layers: int = 3) -> Qwen3VLConfig:
    """Return the configuration for a tokenizer's vocabulary; every vision layer feeds the language model too."""
    text = {
        "initializer_range": _SPREAD,
        "vocab_size": len(tokenizer),
        "hidden_size": 64,
        "intermediate_size": 192,
        "num_hidden_layers": text_layers,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "head_dim": 32,
        "max_position_embeddings": MAX_TOKENS,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10000.0,
            "mrope_section": [6, 5, 5],
            "mrope_interleaved": True,
        },
    }
    vision = {
        "initializer_range": _SPREAD,
        "depth": vision_layers,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_heads": 2,
        "out_hidden_size": 64,
        "num_position_embeddings": 256,
        "deepstack_visual_indexes": [*range(vision_layers)],
        "patch_size": 16,
        "spatial_merge_size": 2,
    }
    tokens = {name: tokenizer.convert_tokens_to_ids(f"<|{text}|>") for name, text in _TOKENS.items()}
    return Qwen3VLConfig(text_config=text, vision_config=vision, tie_word_embeddings=False, **tokens)


_TOKENS = {
    "image_token_id": "image_pad",
    "video_token_id": "video_pad",
    "vision_start_token_id": "vision_start",
    "vision_end_token_id": "vision_end",
}


def untrained(
    tokenizer: PreTrainedTokenizerFast, *, seed: int = 0, text_layers: int = 4, vision_layers: int = 3
) -> Qwen3VLForConditionalGeneration:
    """Return a model with random weights."""
    torch.manual_seed(seed)
    model = Qwen3VLForConditionalGeneration(
        configuration(tokenizer, text_layers=text_layers, vision_layers=vision_layers)
    )
    _see_smoothly(model.model.visual.patch_embed.proj)
    return model


def _see_smoothly(embed: torch.nn.Conv3d) -> None:
    """Let most channels begin with the slow waves of a patch, in each colour: what edges and corners are made of.

    From random weights a model this small takes many times as long to distinguish shapes.
    """
    side = embed.kernel_size[-1]
    places = (torch.arange(side) + 0.5) * torch.pi / side
    waves = [
        torch.outer(torch.cos(down * places), torch.cos(across * places)) * (1 + 2 * (down + across))
        for down in range(_WAVES)
        for across in range(_WAVES)
    ]
    pairs = [(wave, colour) for wave in waves for colour in range(embed.in_channels)]
    with torch.no_grad():
        for channel, (wave, colour) in enumerate(pairs):
            embed.weight[channel] = 0.0
            # Both frames of a still image are the same, and share the wave.
            embed.weight[channel, colour] = wave * 1.5 / wave.numel() / embed.kernel_size[0]


def save(model: Qwen3VLForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, folder: Path) -> None:
    """Write everything that an engine loads, the weights as bfloat16."""
    folder.mkdir(parents=True, exist_ok=True)
    images = Qwen2VLImageProcessor(size=_SIZE, **_PATCHES, **_NORM)
    videos = Qwen3VLVideoProcessor(**_PATCHES, **_NORM)
    Qwen3VLProcessor(images, tokenizer, videos, chat_template=CHAT_TEMPLATE).save_pretrained(folder)
    end = tokenizer.convert_tokens_to_ids(["<|im_end|>", "<|endoftext|>"])
    GenerationConfig(eos_token_id=end, pad_token_id=end[1], do_sample=False).save_pretrained(folder)
    state = {name: weight.detach().to(torch.bfloat16) for name, weight in model.state_dict().items()}
    model.config.dtype = torch.bfloat16
    model.save_pretrained(folder, state_dict=state)
