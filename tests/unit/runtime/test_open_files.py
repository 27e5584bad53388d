"""The limit on open files is raised as far as the system allows."""

import resource
from collections.abc import Iterator

import pytest

from service.runtime.open_files import raise_open_files


@pytest.fixture
def limits() -> Iterator[tuple[int, int]]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (900, before[1]))
    yield before
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.usefixtures("limits")
def test_a_soft_limit_is_raised_to_what_is_wanted() -> None:
    assert raise_open_files(1000) == 1000
    assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] == 1000


@pytest.mark.usefixtures("limits")
def test_a_limit_that_is_higher_stays() -> None:
    assert raise_open_files(100) == 900


def test_the_hard_limit_is_the_end(limits: tuple[int, int]) -> None:
    _, hard = limits
    if hard == resource.RLIM_INFINITY:
        pytest.skip("this process has no hard limit")
    assert raise_open_files(hard + 1) == hard
