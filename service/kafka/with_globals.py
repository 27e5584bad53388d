"""aiokafka's own code with other values for some names of its modules, where aiokafka has no option."""

from collections.abc import Callable, Mapping
from types import FunctionType
from typing import Any


def with_globals(function: Callable[..., Any], names: Mapping[str, object]) -> FunctionType:
    """Return a function with other values for some of the globals that it uses.

    Raises `RuntimeError` if the function does not use them: the installed release of aiokafka is built otherwise.
    """
    if not isinstance(function, FunctionType) or not names.keys() <= set(function.__code__.co_names):
        raise RuntimeError(f"this release of aiokafka does not use {', '.join(names)} in {function!r}")
    bound = FunctionType(function.__code__, {**function.__globals__, **names}, function.__name__, function.__defaults__)
    bound.__kwdefaults__ = function.__kwdefaults__
    return bound
