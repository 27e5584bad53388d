"""What keeps the endpoint from being opened."""

from service.core.errors import FatalError


class PortTakenError(FatalError):
    """Another process listens where this one is to."""

    reason = "monitoring.port_taken"
    message = (
        "{host}:{port} is taken (settings monitoring.host and monitoring.port), by another process of the service "
        "perhaps: give each one a port of its own, or 0 for no endpoint"
    )


class AddressUnusableError(FatalError):
    """There is no such address here, or no right to listen on it."""

    reason = "monitoring.address_unusable"
    message = "cannot listen on {host}:{port} (settings monitoring.host and monitoring.port): {detail}"
