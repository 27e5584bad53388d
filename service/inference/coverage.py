"""The categories that an engine covers, derived from its settings: no model is loaded."""

from service.inference.onnx.catalogue import load_catalogue
from service.settings.engine import EngineSettings


def fixed_categories(settings: EngineSettings) -> frozenset[str] | None:
    """Return the categories that an engine has scores for; None for one that looks for whatever a policy defines.

    Raises `EngineConfigurationError` if the settings' list of classifiers cannot be read.
    """
    match settings.kind:
        case "onnx":
            return load_catalogue(settings.onnx.classifiers).covers
        case "rehearsal":
            return frozenset()
        case "vllm" | "openai":
            return None
