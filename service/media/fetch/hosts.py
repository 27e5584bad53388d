"""Pure: the host of a URL, as shares, circuits and the limit on dead letters count it."""

from urllib.parse import urlsplit

_WEB_PORTS = {"http": 80, "https": 443}

# Of a name in DNS, and then some for the port: what is longer is no host, and takes no more memory in a table of hosts.
_MAX_CHARACTERS = 260


def host_of_url(url: str) -> str:
    """Return host and port of a web address, the port only where it is not the usual one; else the scheme.

    Empty for what is no URL, which the fetch itself reports.
    """
    try:
        parts = urlsplit(url)
        if parts.scheme not in _WEB_PORTS:
            return parts.scheme[:_MAX_CHARACTERS]
        host, port = (parts.hostname or "").rstrip(".")[:_MAX_CHARACTERS], parts.port or _WEB_PORTS[parts.scheme]
    except ValueError:
        return ""
    return host if port in _WEB_PORTS.values() else f"{host}:{port}"


def is_own_store(host: str) -> bool:
    """Return whether what `host_of_url` returned is a store of the operator, which no event can name or break."""
    return host in {"s3", "file"}
