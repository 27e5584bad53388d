"""What the routers of the API share: built by `service.app`, handed to each router."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request, Security
from fastapi.security import HTTPBearer

from service.api.callers.access import Access, Caller
from service.api.callers.scopes import Scope
from service.api.judging.idempotency import GivenAnswers
from service.api.judging.image_judge import ImageJudge
from service.api.judging.places import Places
from service.api.judging.respond_async import AsyncAnswers
from service.api.judging.stored_outcomes import StoredOutcomes
from service.api.openai.chats import Chats
from service.api.request_log import facts_of
from service.inference.engine import EngineDescription
from service.policy.loader import Policies
from service.policy.policy import Policy
from service.settings.api import ApiSettings
from service.telemetry.request_trace import RequestTracer


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiParts:
    """The parts of the service that answer requests."""

    settings: ApiSettings
    access: Access
    judge: ImageJudge
    places: Places
    chats: Chats
    given: GivenAnswers
    stored: StoredOutcomes
    later: AsyncAnswers | None = None
    """Puts images into the stream; None without one."""
    outcome_topics: Sequence[str] = ()
    """Topics that have the outcomes of the stream; none without one."""
    policies: Policies
    describe: Callable[[Policy], EngineDescription]
    """Returns what the engine is for a policy."""
    health: Callable[[], Mapping[str, object]]
    """Returns the state of the service; may block for the GPU's driver."""
    tracer: RequestTracer


def _caller_with(scope: Scope) -> Callable[..., Awaitable[Caller]]:
    """Return the dependency that is the caller of a request, who must have a scope."""

    async def authenticated(request: Request, _: Annotated[object, Security(_BEARER)] = None) -> Caller:
        access: Access = request.app.state.access
        address = request.client.host if request.client else ""
        caller = await access.authenticate(request.headers, address=address)
        facts = facts_of(request.scope)
        facts.key_id, facts.tenant, facts.limits = caller.key_id, caller.tenant, caller.limits
        caller.take(images=0)
        caller.require(scope)
        return caller

    return authenticated


_BEARER = HTTPBearer(auto_error=False, scheme_name="API key", description="A key that `modstream keys create` made.")

Moderates = Annotated[Caller, Depends(_caller_with("moderate"))]
"""The caller of a route that judges images."""
Chatting = Annotated[Caller, Depends(_caller_with("chat"))]
"""The caller of a route that generates text."""
Reads = Annotated[Caller, Depends(_caller_with("read"))]
"""The caller of a route that reads policies and stored verdicts."""
