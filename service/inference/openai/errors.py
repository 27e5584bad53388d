"""What can go wrong between this service and one server; each says more than that the request failed."""

from service.inference.errors import EngineFailedError


class ServerBusyError(EngineFailedError):
    """The server works and has too much to do; `asked_pause_s` is how long it asks to be left alone, or None."""

    reason = "engine.server_busy"

    @property
    def asked_pause_s(self) -> float | None:
        """Seconds, not bounded yet; None if the server does not say."""
        asked = self.facts["asked_pause_s"]
        return asked if isinstance(asked, float) else None


class ServerUnreachableError(EngineFailedError):
    """No connection could be made: the server has seen nothing of the request."""

    reason = "engine.server_unreachable"


class ServerSilentError(EngineFailedError):
    """The server has the request and gives no answer in time: it is slow, or hangs."""

    reason = "engine.server_silent"


class AnswerBrokenOffError(EngineFailedError):
    """The connection ended after the request was sent: the server may have died of it."""

    reason = "engine.answer_broken_off"
