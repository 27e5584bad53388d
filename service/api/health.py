"""The route of the service's state, which needs no key."""

import asyncio
import time
from collections.abc import Callable, Mapping

import orjson
from fastapi import APIRouter, Response

KEPT_S = 0.25
"""How old an answer may be: however many strangers ask, the GPU's driver is asked four times a second at most."""


def health_routes(health: Callable[[], Mapping[str, object]]) -> APIRouter:
    """Return the route; `health` may block."""
    router = APIRouter(tags=["health"])
    kept = KeptHealth(health)

    async def answer() -> Response:
        """Return the state of the service; `status` is ok while it answers requests. It needs no key."""
        return Response(await kept.document(), media_type="application/json")

    router.add_api_route("/health", answer, methods=["GET"], operation_id="health")
    return router


class KeptHealth:
    """The state of the service as JSON, read once for all who ask at about the same time."""

    def __init__(
        self, health: Callable[[], Mapping[str, object]], *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._health = health
        self._clock = clock
        self._reading: asyncio.Task[bytes] | None = None
        self._expires_at_s = 0.0

    async def document(self) -> bytes:
        """Return the state; raises what its reading raises."""
        if self._reading is None or (self._reading.done() and self._clock() >= self._expires_at_s):
            self._expires_at_s = self._clock() + KEPT_S
            self._reading = asyncio.create_task(asyncio.to_thread(self._read), name="api.health")
        # One who leaves ends the reading for no other.
        return await asyncio.shield(self._reading)

    def _read(self) -> bytes:
        return orjson.dumps(self._health())
