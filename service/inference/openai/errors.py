"""Errors between the service and one model server, more specific than a failed request."""

from service.inference.errors import EngineFailedError


class ServerBusyError(EngineFailedError):
    """The server works and is overloaded."""

    reason = "engine.server_busy"

    @property
    def asked_pause_s(self) -> float | None:
        """Seconds in the server's Retry-After, without a bound; None without the header."""
        asked = self.facts["asked_pause_s"]
        return asked if isinstance(asked, float) else None


class ServerUnreachableError(EngineFailedError):
    """No connection could be made: the server did not receive the request."""

    reason = "engine.server_unreachable"


class ServerSilentError(EngineFailedError):
    """The server has the request and does not respond in time: it is slow, or hangs."""

    reason = "engine.server_silent"


class AnswerBrokenOffError(EngineFailedError):
    """The connection ended after the request was sent: the server may have died of it."""

    reason = "engine.answer_broken_off"
