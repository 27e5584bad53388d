"""The settings of what operators look at: the endpoint, and what its figures are told in."""

from typing import Annotated

from pydantic import Field

from service.settings.types import Group


class MonitoringSettings(Group):
    """Metrics and health of one process, by HTTP."""

    host: str = "127.0.0.1"
    """Address to listen on. The endpoint asks nobody who they are, so other machines reach it only where this is
    changed: to 0.0.0.0 in a container."""
    port: Annotated[int, Field(ge=0, le=65_535)] = 9464
    """The port that Prometheus has set aside for OpenTelemetry; 0 for no endpoint. Two processes of one machine need a
    port each."""
    tenants: tuple[str, ...] = ()
    """Tenants whose verdicts are counted under their own names; all others are `other`, or a new tenant would be a new
    time series for ever."""
    machine_price: Annotated[float, Field(ge=0.0)] = 0.0
    """What the machine of one process costs an hour, for the cost of 1,000 images; 0 tells none."""
    currency: str = "USD"
    """Of `machine_price`."""
