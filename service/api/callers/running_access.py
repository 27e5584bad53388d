"""From settings to the access of a running API."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

from service.api.callers.access import Access
from service.api.callers.access_errors import NoCallersError
from service.api.callers.api_keys import ApiKeys
from service.api.callers.keys_watch import KeysWatch
from service.api.callers.rate_limits import Limits
from service.api.callers.signing_keys import SigningKeys
from service.api.callers.tokens import Tokens
from service.runtime.file_watch import watching
from service.settings.api import ApiSettings, JwtSettings

NO_KEYS = ApiKeys({})


@asynccontextmanager
async def running_access(settings: ApiSettings, *, keys: ApiKeys | None = None) -> AsyncIterator[Access]:
    """Yield the access that the settings give; meanwhile follow the file of keys and the identity provider.

    `keys` are accepted where the settings name no file: those of one run. Raises `KeysFileError` for a file
    that cannot be used, and `NoCallersError` where no request could be accepted.
    """
    if settings.authentication == "none":
        yield Access(None, origins=settings.cors_origins)
        return
    watch = KeysWatch(settings.keys_file) if settings.keys_file is not None else None
    signing_keys = SigningKeys(settings.jwt) if settings.jwt.issuer is not None else None
    if watch is None and signing_keys is None and keys is None:
        raise NoCallersError()
    async with AsyncExitStack() as stack:
        for source in (watch, signing_keys):
            if source is not None:
                await stack.enter_async_context(watching(source.watch, name="access-watch"))
        yield Access(
            lambda: watch.keys if watch is not None else keys or NO_KEYS,
            Tokens(settings.jwt, signing_keys) if signing_keys is not None else None,
            limits=_limits(settings.jwt),
            warnings=[source.warnings for source in (watch, signing_keys) if source is not None],
        )


def _limits(settings: JwtSettings) -> Limits:
    return Limits(settings.requests_per_s, settings.images_per_s, settings.burst)
