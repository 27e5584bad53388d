"""The command that `modstream engine plan --remote` prints, read by vLLM's own parser."""

import inspect
import shlex

from service.inference.vllm.arguments import FLOAT32_HEAD, ONLINE_FP8
from service.inference.vllm.environment import OWN_KERNELS
from service.tools.planning.gpus import find_gpu
from service.tools.planning.models import find_model
from service.tools.planning.plan import plan_gpu
from service.tools.planning.remote import SERVE_STEP_TOKENS, serve_command
from service.tools.planning.workload import TYPICAL


def test_vllm_knows_every_option_of_the_command() -> None:
    from vllm.entrypoints.launchers.cli_args import make_arg_parser  # noqa: PLC0415 - importing vLLM takes seconds
    from vllm.utils.argparse_utils import FlexibleArgumentParser  # noqa: PLC0415 - as above

    plan = plan_gpu(find_gpu("L4"), find_model("8B"), TYPICAL)
    assert plan.take is not None
    assert plan.take.memory is not None
    words = shlex.split(serve_command(plan, plan.take).replace("\\\n", ""))
    variables, options = words[: words.index("vllm")], words[words.index("serve") + 1 :]
    assert variables == [f"{name}={value}" for name, value in OWN_KERNELS.items()]
    parsed = make_arg_parser(FlexibleArgumentParser()).parse_args(options)
    assert parsed.hf_overrides == FLOAT32_HEAD
    assert parsed.model_tag == "Qwen/Qwen3-VL-8B-Instruct"
    assert parsed.max_num_batched_tokens == plan.take.memory.step_tokens
    assert parsed.quantization == ONLINE_FP8["quantization"]
    assert parsed.quantization_config.ignore == ONLINE_FP8["quantization_config"]["ignore"]
    assert parsed.limit_mm_per_prompt == {"image": 1, "video": 0}
    assert parsed.mm_processor_kwargs == {"size": {"shortest_edge": 65536, "longest_edge": 1048576}}


def test_a_server_without_that_option_takes_the_step_that_the_document_warns_of() -> None:
    from vllm.engine.arg_utils import EngineArgs  # noqa: PLC0415 - as above

    assert f"UsageContext.OPENAI_API_SERVER: {SERVE_STEP_TOKENS}" in inspect.getsource(EngineArgs.get_batch_defaults)
