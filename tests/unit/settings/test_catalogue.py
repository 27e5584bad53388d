from typing import Annotated

import pytest
from annotated_types import Gt
from pydantic import AfterValidator, BaseModel, Field

from service.settings.catalogue import Shape, groups


class Inner(BaseModel):
    """Inside."""

    level: Annotated[int, Field(gt=0, le=9)] = 1


class Outer(BaseModel):
    """Outside."""

    names: tuple[Annotated[str, AfterValidator(str.lower)], ...] = ()
    counts: Annotated[tuple[Annotated[int, Gt(0)], ...], AfterValidator(tuple)] = ()
    extras: dict[str, int] = {}
    address: Annotated[str | None, AfterValidator(str)] = None
    odd: complex = 1j
    inner: Inner = Inner()


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("names", "a list, each text"),
        ("counts", "a list, each a whole number above 0"),
        ("extras", "a map of names to values"),
        ("address", "text or nothing"),
        ("odd", "complex"),
        ("inner.level", "a whole number above 0 and up to 9"),
    ],
)
def test_what_a_setting_may_hold_is_reported_in_words(path: str, allowed: str) -> None:
    settings = {setting.path: setting for group in groups(Outer) for setting in group.settings}
    assert settings[path].allowed == allowed


def test_lists_and_maps_are_known_however_they_are_declared() -> None:
    settings = {setting.path: setting for group in groups(Outer) for setting in group.settings}
    assert [path for path, setting in settings.items() if setting.shape is Shape.LIST] == ["names", "counts"]
    assert [path for path, setting in settings.items() if setting.shape is Shape.MAP] == ["extras"]
