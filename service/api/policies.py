"""The policies that a caller may name."""

from fastapi import APIRouter

from service.api.models import FirstPassRule, PolicyAnswer, PolicyList, Thresholds
from service.api.parts import ApiParts, Reads
from service.policy.policy import CategoryRule, Policy


def policy_routes(parts: ApiParts) -> APIRouter:
    """Return the route of policies."""
    router = APIRouter(tags=["policies"])

    async def policies(caller: Reads) -> PolicyList:
        """List the policies of the caller's tenant, with the thresholds of each category."""
        default = parts.policies.select(None, tenant=caller.tenant)
        known = parts.policies.known_to(caller.tenant)
        return PolicyList(policies=tuple(_answer(parts, each, is_default=each is default) for each in known))

    router.add_api_route("/v1/policies", policies, methods=["GET"], operation_id="policies")
    return router


def _answer(parts: ApiParts, policy: Policy, *, is_default: bool) -> PolicyAnswer:
    engine = parts.describe(policy)
    return PolicyAnswer(
        name=policy.name,
        version=policy.version,
        hash=policy.hash,
        description=policy.description,
        is_default=is_default,
        categories={name: _thresholds(rule) for name, rule in policy.categories.items()},
        not_covered=tuple(name for name in policy.categories if name not in engine.covers),
        hints=tuple(name for name in policy.categories if name in engine.hints),
        tags=engine.attribute_schema,
        first_pass=_first_pass(policy),
    )


def _first_pass(policy: Policy) -> FirstPassRule | None:
    rule = policy.instructions.first_pass
    if rule is None:
        return None
    return FirstPassRule(engine=rule.engine, vision_tokens=rule.vision_tokens, clear_below=dict(rule.clear_below))


def _thresholds(rule: CategoryRule) -> Thresholds:
    return Thresholds(label=rule.label, review=rule.review, block=rule.block, frames=rule.frames)
