"""Text to URL, strictly: where two readers could see two different hosts in one text, there is no URL. Pure."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address
from urllib.parse import quote_from_bytes

from yarl import URL

from service.media.errors import ImageReferenceError, SchemeNotAllowedError

SCHEMES = ("http", "https")

# Servers take 8 KiB of a request's line, signatures included; what is escaped grows to three times as much.
_MAX_URL_CHARACTERS = 16 * 1024
# A name has 253 characters in ASCII, and fewer before it is written in IDNA, which takes 2 µs a character.
_MAX_AUTHORITY_CHARACTERS = 512

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_PARTS = re.compile(r"(?P<scheme>[A-Za-z][A-Za-z0-9+.-]*:)?(?P<authority>//[^/?#]*)?")
_TO_SEND = bytes(range(ord("!"), ord("~") + 1))
# Underscores are no part of host names by the book, and are there in practice. At most 253 characters in all.
_HOST_NAME = re.compile(r"(?!.{255})([a-z0-9_-]{1,63}\.)*[a-z0-9_-]{1,63}\.?")
# Resolvers read such names as IPv4 addresses in parts, octal or hexadecimal: 127.1, 0177.0.0.1, 0x7f000001.
_LOOKS_LIKE_IPV4 = re.compile(r"(.*\.)?([0-9]+|0x[0-9a-f]*)\.?")


def parse_web_address(text: str) -> URL:
    """Return the URL of an image on the web; raise `ImageReferenceError` or `SchemeNotAllowedError`.

    Blanks at its end are left out, and so is a fragment when it is sent.
    """
    if len(text) > _MAX_URL_CHARACTERS:
        raise ImageReferenceError(detail=f"it has more than {_MAX_URL_CHARACTERS} characters")
    if _CONTROL.search(text):
        raise ImageReferenceError(detail="it has control characters")
    try:
        url = _url(text.rstrip(" "), errors="strict")
    except ValueError:
        raise ImageReferenceError(detail="it is no valid URL") from None
    return checked(url)


def parse_redirect(url: URL, location: str) -> URL:
    """Return where a redirect leads to: absolute, or relative to the URL that was asked.

    `location` is the header as aiohttp has it: UTF-8, and a surrogate for each byte that is none.
    """
    if len(location) > _MAX_URL_CHARACTERS:
        raise ImageReferenceError(detail=f"a redirect has more than {_MAX_URL_CHARACTERS} characters")
    if _CONTROL.search(location):
        raise ImageReferenceError(detail="a redirect has control characters")
    try:
        target = url.join(_url(location.strip(" "), errors="surrogateescape"))
    except ValueError:
        raise ImageReferenceError(detail="a redirect is no valid URL") from None
    if target.scheme not in SCHEMES:
        raise SchemeNotAllowedError(scheme=target.scheme[:32], hint=" in redirects")
    return checked(target)


def _url(text: str, *, errors: str) -> URL:
    """Return the URL with nothing changed but what cannot be sent as it is; raise `ValueError`."""
    start, authority, rest = _parts(text)
    if len(authority) > _MAX_AUTHORITY_CHARACTERS:
        message = "no host is so long"
        raise ValueError(message)
    if not authority.isascii():
        # The library writes a host in IDNA; anything else of the authority is refused later.
        authority = "//" + URL("http:" + authority).raw_authority
    url = URL(start + authority + _escaped(rest, errors), encoded=True)
    # The authority is taken apart, and a wrong port found, when it is first asked for: so it is asked for here.
    _ = url.explicit_port
    return url


def _parts(text: str) -> tuple[str, str, str]:
    """Split into scheme and colon, slashes and authority, and all that follows; what is missing is empty."""
    found = _PARTS.match(text)
    return (found["scheme"] or "", found["authority"] or "", text[found.end() :]) if found else ("", "", text)


def _escaped(text: str, errors: str) -> str:
    """Escape blanks and what is not ASCII, and leave escapes alone: another spelling would break signatures."""
    return quote_from_bytes(text.encode(errors=errors), safe=_TO_SEND)


def checked(url: URL) -> URL:
    """Return the URL if its host can be read in one way only, and it names no user."""
    if "@" in url.raw_authority or url.user is not None or url.password is not None:
        raise ImageReferenceError(detail="a URL with user name or password is not accepted")
    host = (url.raw_host or "").lower()
    bracketed = "[" in url.raw_authority
    if bracketed != (":" in host) or not _is_host(host):
        raise ImageReferenceError(detail="its host is neither a name nor an address in its usual notation")
    return url


def host_of(url: URL) -> str:
    """Return the host of a checked URL in the form that hosts are compared in, also fit for messages."""
    return canonical_host(url.raw_host or "")


def canonical_host(host: str) -> str:
    """Return a host name without regard to case and to the dot that may end it."""
    return host.lower().removesuffix(".")


def canonical_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """Return host names from settings in the form that hosts are compared in, in ASCII as on the wire."""
    return frozenset(canonical_host(URL.build(scheme="http", host=host).raw_host or "") for host in hosts)


def _is_host(host: str) -> bool:
    if ":" in host:
        return _reads_as(IPv6Address, host)
    if _LOOKS_LIKE_IPV4.fullmatch(host):
        return _reads_as(IPv4Address, host)
    return _HOST_NAME.fullmatch(host) is not None


def _reads_as(kind: type[IPv4Address | IPv6Address], host: str) -> bool:
    try:
        kind(host)
    except ValueError:
        return False
    return "%" not in host
