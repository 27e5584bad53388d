"""What vLLM calls in each of its processes."""

from vllm.model_executor.models import qwen3_vl


def avoid_bfloat16_kernel() -> None:
    """Let the model interpolate its positions with PyTorch, as it does without Triton.

    The kernel for it calculates in bfloat16, of which Triton's interpreter makes NaN. It belongs to the model, not to
    the model runner.
    """
    qwen3_vl.HAS_TRITON = False
