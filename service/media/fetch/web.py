"""Images by http and https. Redirects are followed one by one, and each is checked like the first URL."""

from collections.abc import Iterable

from yarl import URL

from service.media.errors import TooManyRedirectsError
from service.media.fetch.client import GuardedClient, Reserve, reserve_nothing
from service.media.fetch.web_address import canonical_hosts, host_of, parse_redirect, parse_web_address


class WebFetcher:
    """Fetches hosts of `media.fetch.allow_hosts` with the trusting client, and all others with the guarded one."""

    def __init__(
        self, *, public: GuardedClient, trusting: GuardedClient, allow_hosts: Iterable[str], max_redirects: int
    ) -> None:
        self._public = public
        self._trusting = trusting
        self._allow_hosts = canonical_hosts(allow_hosts)
        self._max_redirects = max_redirects

    async def fetch(self, text: str, reserve: Reserve = reserve_nothing) -> bytes | bytearray:
        """Return the image file at a URL; raise `RejectedError` or `TransientError`."""
        url = parse_web_address(text)
        first = named = host_of(url)
        for _ in range(self._max_redirects + 1):
            answer = await self._client_for(url).get(url, named=named, reserve=reserve)
            if answer.location is not None:
                url = parse_redirect(url, answer.location)
                # Where a server sends us may be known to it and us alone.
                named = first if host_of(url) == first else f"a host that {first} redirects to"
            elif answer.succeeded:
                return answer.body
            else:
                raise answer.failure(named)
        raise TooManyRedirectsError(limit=self._max_redirects)

    def _client_for(self, url: URL) -> GuardedClient:
        """Choose by each hop's own host, so that a named host opens no other one; connections are not shared."""
        return self._trusting if host_of(url) in self._allow_hosts else self._public
