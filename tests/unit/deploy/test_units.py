import math

import pytest

from deploy.grafana.units import written


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.5, "percentunit", "50 %"),
        (0.0125, "s", "12.5 ms"),
        (0.0, "s", "0 s"),
        (90.0, "s", "90 s"),
        (600.0, "s", "10 min"),
        (3 * 1024**3, "bytes", "3 GiB"),
        (512.0, "Bps", "512 B/s"),
        (12_500.0, "short", "12.5 K"),
        (20.25, "reqps", "20.2/s"),
        (0.0049, "currencyUSD", "$0.0049"),
        (2.5, "currencyUSD", "$2.50"),
        (math.nan, "short", "no data"),
    ],
)
def test_numbers_are_written_as_grafana_writes_them(value: float, unit: str, text: str) -> None:
    assert written(value, unit) == text
