"""The tiny model's tokenizer: Qwen's rules and control tokens over the few words that prompts are made of."""

from collections.abc import Iterator

import numpy as np
from tokenizers import AddedToken, Regex, Tokenizer, decoders, normalizers, pre_tokenizers
from tokenizers.models import BPE
from tokenizers.trainers import BpeTrainer
from transformers import PreTrainedTokenizerFast
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from service.inference.vision.phrases import PHRASES
from service.inference.vision.prompt import prompter
from service.policy.taxonomy import CATEGORIES
from testing.tiny_model.answers import tags_text, why_text
from testing.tiny_model.captions import random_caption
from testing.tiny_model.scenes import random_scene
from testing.tiny_model.shapes import ALL_INSTRUCTIONS, HARMFUL

# In Qwen3-VL's order; those in the second list are ordinary text to `skip_special_tokens`.
CONTROL_TOKENS = (
    *("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>"),
    *("<|box_start|>", "<|box_end|>", "<|quad_start|>", "<|quad_end|>"),
    *("<|vision_start|>", "<|vision_end|>", "<|vision_pad|>", "<|image_pad|>", "<|video_pad|>"),
)
MARKUP_TOKENS = (
    *("<tool_call>", "</tool_call>", "<|fim_prefix|>", "<|fim_middle|>", "<|fim_suffix|>", "<|fim_pad|>"),
    *("<|repo_name|>", "<|file_sep|>", "<tool_response>", "</tool_response>", "<think>", "</think>"),
)
VOCABULARY = 2000
MAX_TOKENS = 4096

# Qwen's, for what this service asks: a system turn, then a turn of texts and images in their order.
CHAT_TEMPLATE = (
    "{%- for message in messages -%}"
    "{{- '<|im_start|>' + message.role + '\\n' -}}"
    "{%- if message.content is string -%}{{- message.content -}}{%- else -%}"
    "{%- for part in message.content -%}"
    "{%- if part.type in ('image', 'image_url') or 'image' in part or 'image_url' in part -%}"
    "{{- '<|vision_start|><|image_pad|><|vision_end|>' -}}"
    "{%- elif 'text' in part -%}{{- part.text -}}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{{- '<|im_end|>\\n' -}}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}{{- '<|im_start|>assistant\\n' -}}{%- endif -%}"
)


def build_tokenizer() -> PreTrainedTokenizerFast:
    """Return a byte-level BPE tokenizer whose vocabulary is learnt from prompts and answers."""
    tokenizer = Tokenizer(BPE())
    tokenizer.normalizer = normalizers.NFC()
    split = pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated")
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([split, byte_level])
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    words = VOCABULARY - len(CONTROL_TOKENS) - len(MARKUP_TOKENS)
    trainer = BpeTrainer(vocab_size=words, initial_alphabet=alphabet, show_progress=False, min_frequency=2)
    tokenizer.train_from_iterator(_texts(), trainer)
    tokenizer.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in CONTROL_TOKENS])
    tokenizer.add_tokens([AddedToken(token, special=False, normalized=False) for token in MARKUP_TOKENS])
    # As Qwen's instruction models have them: an answer ends where its turn ends.
    roles = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>"}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_TOKENS, **roles)


def _texts() -> Iterator[str]:
    rng = np.random.default_rng(0)
    for phrases in PHRASES.values():
        # As answers they must be one token each, so no rarer than anything else.
        yield from [phrases.yes, phrases.no] * 500
    for category in CATEGORIES:
        yield from [f"{category.name}: {category.description}"] * 2
    for instructions in ALL_INSTRUCTIONS:
        writer = prompter(instructions)
        yield from [writer.system, writer.which(None).question, writer.describe(None).question] * 20
        for name in HARMFUL:
            yield from [writer.is_it(None, name).question, writer.why(None, [name]).question] * 5
        for _ in range(300):
            scene = random_scene(rng)
            yield tags_text(scene, instructions)
            yield why_text(scene, instructions, tuple(HARMFUL))
            yield writer.which(random_caption(rng)).question
