"""One image for all tests here, built before the first of them."""

import pytest

from testing.container import build_image


@pytest.fixture(scope="session")
def image() -> None:
    """Build modstream:cpu, as `make image` does."""
    build_image()
