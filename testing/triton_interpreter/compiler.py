"""A compiler of Triton for CPUs that compiles nothing, because Triton's interpreter runs the kernels."""

from typing import Any

from triton.backends.compiler import BaseBackend


class NoCompiler(BaseBackend):  # type: ignore[misc]  # Triton has no types
    """What Triton's list of backends asks for."""

    @staticmethod
    def supports_target(target: Any) -> bool:
        """Return whether this is for a target."""
        return bool(target.backend == "cpu")

    def hash(self) -> str:
        """Return the name of what it makes."""
        return "interpreter"

    def parse_options(self, options: Any) -> Any:
        """Never called."""
        raise NotImplementedError

    def add_stages(self, stages: Any, options: Any) -> None:
        """Never called."""
        raise NotImplementedError

    def load_dialects(self, context: Any) -> None:
        """Never called."""
        raise NotImplementedError

    def get_module_map(self) -> Any:
        """Never called."""
        raise NotImplementedError
