"""Errors of engines."""

from service.core.errors import FatalError, RejectedError, TransientError


class EngineTimeoutError(TransientError):
    """The engine did not answer in time."""

    reason = "engine.timeout"
    message = "The engine gave no answer in {limit_s} s (engine.timeout_s)"


class EngineFailedError(TransientError):
    """The engine failed on this request and still works."""

    reason = "engine.failed"
    message = "The engine failed: {detail}"


class EngineRejectedError(RejectedError):
    """The engine refuses this request, and a repetition would not help."""

    reason = "engine.rejected"
    blame = "uploader"
    message = "The engine refuses the request: {detail}"


class AdapterMissingError(TransientError):
    """None of the servers that got the request has the policy's adapter."""

    reason = "engine.adapter_missing"
    message = "The policy's adapter {name!r} is not served: {detail}"


class EngineConfigurationError(FatalError):
    """The engine cannot start with these settings."""

    reason = "engine.configuration"
    message = "{setting}: {detail}"


class EngineNotRunningError(FatalError):
    """The engine was stopped, or never started; the record is not at fault and stays uncommitted."""

    reason = "engine.not_running"
    message = "The engine is not running"


class LabelCollisionError(FatalError):
    """Two categories of a policy would be answered by the same token."""

    reason = "policy.label_collision"
    message = "The answers for {first} and {second} begin with the same token ({token!r}): give one of them a label"


class TooManyCategoriesError(FatalError):
    """A policy has more categories than there are labels."""

    reason = "policy.too_many_categories"
    message = "A policy may have {limit} categories at most for this engine; it has {count}"


class VisionBudgetError(FatalError):
    """A policy sets more vision tokens than the engine allows."""

    reason = "policy.vision_budget"
    message = (
        "A policy asks for {asked} vision tokens; the engine takes {limit} at most (engine.vllm.max_vision_tokens)"
    )


class UnknownAdapterError(FatalError):
    """A policy names an adapter that the engine cannot use."""

    reason = "engine.unknown_adapter"
    message = "The adapter {name!r} cannot be used: {detail}"
