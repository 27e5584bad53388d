"""Environment variables that vLLM reads, mostly when it is imported."""

from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import MappingProxyType

import structlog

from service.settings.vllm import VllmSettings

log = structlog.get_logger(__name__)

OWN_KERNELS: Mapping[str, str] = MappingProxyType(
    {"VLLM_USE_DEEP_GEMM": "0", "VLLM_BLOCKSCALE_FP8_GEMM_FLASHINFER": "0"}
)
"""Block FP8 on vLLM's own kernels. DeepGEMM and FlashInfer's are compiled on the machine, and vLLM 0.32 takes them only
where it finds the CUDA compiler; DeepGEMM also rounds the weights' scales to powers of two. Equal cards would give
unequal scores."""


def prepare_environment(
    settings: VllmSettings, environment: MutableMapping[str, str], *, is_traced: bool = False
) -> None:
    """Set the variables that the service needs; those that the operator has set are not changed."""
    defaults = {
        # A fork would copy locks that other threads of this process hold at that moment.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        # Standard output belongs to the command.
        "VLLM_LOGGING_STREAM": "ext://sys.stderr",
        # What is moderated here, and on what, must not leave this machine.
        "VLLM_NO_USAGE_STATS": "1",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        # All its processes are on this machine; it would look for an address that others reach.
        "VLLM_HOST_IP": "127.0.0.1",
        # Ours ends first and names its setting.
        "VLLM_ENGINE_READY_TIMEOUT_S": str(int(settings.startup_timeout_s) + 60),
        **OWN_KERNELS,
    }
    if Path(settings.model).is_dir():
        defaults["HF_HUB_OFFLINE"] = "1"  # a folder holds all that is needed
    if settings.enforce_eager:
        # It leaves the sampler's functions compiled, which takes a C++ compiler 10 s at the first answer.
        defaults["TORCH_COMPILE_DISABLE"] = "1"
    if settings.engine_args.get("distributed_executor_backend") == "uni":
        defaults["VLLM_ENABLE_V1_MULTIPROCESSING"] = "0"  # vLLM for CPUs (0.32) heeds "uni" only with it
    if is_traced:
        # The service speaks OTLP over HTTP, and vLLM would speak gRPC to the same port.
        defaults["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL"] = "http/protobuf"
        defaults["OTEL_SERVICE_NAME"] = "vllm"  # the service's own spans carry its own name in any case
    for name, value in defaults.items():
        environment.setdefault(name, value)
    _report_other_kernels(environment)


def _report_other_kernels(environment: Mapping[str, str]) -> None:
    for name, value in OWN_KERNELS.items():
        if environment[name] != value:
            log.warning("engine.kernels_not_pinned", variable=name, value=environment[name], pinned=value)
