"""Pure: what vLLM says when memory is short → the setting to change, and to what."""

import math
import re
from collections.abc import Callable
from typing import NamedTuple


class Advice(NamedTuple):
    """The setting to change if memory is short, and how."""

    setting: str
    detail: str


_GIB = r"([\d.]+)"
_RESERVED = re.compile(
    rf"\({_GIB}/{_GIB} GiB\) on startup is less than desired (?:GPU|CPU) memory utilization \({_GIB}, {_GIB} GiB\)"
)
_TOO_LONG = re.compile(
    rf"max seq len \((\d+)\), \({_GIB} GiB KV cache is needed, which is larger than the available KV cache memory "
    rf"\({_GIB} GiB\)(?:.*?estimated maximum model length is (\d+))?",
    re.DOTALL,
)
_NO_CACHE = re.compile(r"No available memory for the cache blocks")
_EXHAUSTED = re.compile(r"CUDA out of memory|OutOfMemoryError")


def memory_advice(text: str) -> Advice | None:
    """Return what to change because of the lines or the error of a start that failed; None if memory was not short."""
    for pattern, advise in _ADVICE:
        if found := pattern.search(text):
            return advise(found)
    return None


def _reserved(found: re.Match[str]) -> Advice:
    free, total, fraction, wanted = map(float, found.groups())
    share = math.floor(free / total * 100) / 100
    detail = (
        f"{fraction:g} of the memory are {wanted:g} GiB, and {free:g} of {total:g} GiB are free: set {share:g} or "
        "less, or end what else uses the memory; on a CPU, set engine.vllm.kv_cache_bytes instead"
    )
    return Advice("engine.vllm.gpu_memory_fraction", detail)


def _too_long(found: re.Match[str]) -> Advice:
    length, needed, available, fits = found.groups()
    lower = f"set {fits} or less" if fits else "lower it"
    detail = (
        f"a request of {length} tokens needs {needed} GiB of cache, and there are {available}: {lower}, or raise "
        "engine.vllm.gpu_memory_fraction (engine.vllm.kv_cache_bytes, where that is set)"
    )
    return Advice("engine.vllm.max_model_len", detail)


def _no_cache(_: re.Match[str]) -> Advice:
    detail = (
        "weights and intermediate results leave no memory for the cache: raise it, lower "
        "engine.vllm.max_batched_tokens, or take a smaller model (modstream engine plan says what fits a card)"
    )
    return Advice("engine.vllm.gpu_memory_fraction", detail)


def _exhausted(_: re.Match[str]) -> Advice:
    detail = (
        "the card's memory ran out while the model was loaded: lower it, or take a smaller model or precision "
        "(modstream engine plan says what fits a card)"
    )
    return Advice("engine.vllm.max_batched_tokens", detail)


_ADVICE: tuple[tuple[re.Pattern[str], Callable[[re.Match[str]], Advice]], ...] = (
    (_RESERVED, _reserved),
    (_TOO_LONG, _too_long),
    (_NO_CACHE, _no_cache),
    (_EXHAUSTED, _exhausted),
)
