"""What a caller may be allowed to do."""

from typing import Literal, get_args

Scope = Literal["moderate", "chat", "read", "tenants"]
"""moderate: moderations, verdicts, tags and batches. chat: chat completions. read: stored verdicts and policies.
tenants: all of these for any tenant that the request names."""

SCOPES: tuple[Scope, ...] = get_args(Scope)
