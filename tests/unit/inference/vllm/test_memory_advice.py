"""What vLLM's builds for GPUs and CPUs write when memory is short, shortened."""

import pytest

from service.inference.vllm.memory_advice import memory_advice

GPU = (
    "ValueError: Free memory on device cuda:0 (5.83/7.65 GiB) on startup is less than desired GPU memory utilization "
    "(0.9, 6.88 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes."
)
CPU = (
    "ValueError: Available memory on node 0 (20.1/23.4 GiB) on startup is less than desired CPU memory utilization "
    "(0.99, 23.17 GiB). On the CPU backend, the `--gpu-memory-utilization` flag"
)
TOO_LONG = (
    "To serve at least one request with the model's max seq len (4096), (0.56 GiB KV cache is needed, which is larger "
    "than the available KV cache memory (0.12 GiB). Based on the available memory, the estimated maximum model length "
    "is 896. Try increasing"
)
NO_CACHE = "No available memory for the cache blocks. Try increasing `gpu_memory_utilization`"
EXHAUSTED = "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 1.16 GiB."


@pytest.mark.parametrize(
    ("written", "setting", "reported"),
    [
        (GPU, "engine.vllm.gpu_memory_fraction", "set 0.76 or less"),
        (CPU, "engine.vllm.gpu_memory_fraction", "engine.vllm.kv_cache_bytes"),
        (TOO_LONG, "engine.vllm.max_model_len", "set 896 or less"),
        (NO_CACHE, "engine.vllm.gpu_memory_fraction", "engine.vllm.max_batched_tokens"),
        (EXHAUSTED, "engine.vllm.max_batched_tokens", "lower it"),
    ],
    ids=["gpu", "cpu", "too long", "no cache", "exhausted"],
)
def test_short_memory_becomes_the_setting_to_change(written: str, setting: str, reported: str) -> None:
    advice = memory_advice(f"EngineCore failed to start.\nTraceback …\n{written}\nmore lines")
    assert advice is not None
    assert advice.setting == setting
    assert reported in advice.detail


def test_other_failures_get_no_advice_about_memory() -> None:
    assert memory_advice("RuntimeError: Engine core initialization failed. See root cause above.") is None
