"""A synthetic archive that is read and not changed."""

from pathlib import Path

import pytest

from testing.synthetic_backtest import SyntheticBacktest, synthetic_backtest


@pytest.fixture(scope="session")
def synthetic(tmp_path_factory: pytest.TempPathFactory) -> SyntheticBacktest:
    return synthetic_backtest(Path(tmp_path_factory.mktemp("backtest")), images=4000)
