"""Names to addresses, in threads of their own.

Events choose the names, and a name whose servers do not answer holds a thread for many seconds. In the event loop's
own few threads it would hold up the reading of files as well.
"""

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

from aiohttp.abc import AbstractResolver, ResolveResult

# Look-ups at a time. They wait and do not compute, so cores do not matter; a stack costs memory only where touched.
THREADS = 32


class ThreadResolver(AbstractResolver):
    """Asks the operating system, so that its hosts file, search domains and name services count."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="resolve")

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """Return the addresses of a host, the operating system's favourite first; raise `OSError` if there are none."""
        loop = asyncio.get_running_loop()
        # Addresses of a family that this machine has no address of are left out (RFC 3493).
        found = await loop.run_in_executor(
            self._threads, socket.getaddrinfo, host, port, family, socket.SOCK_STREAM, 0, socket.AI_ADDRCONFIG
        )
        return [
            ResolveResult(
                hostname=host,
                host=str(address[0]),
                port=port,
                family=found_family,
                proto=protocol,
                flags=socket.AI_NUMERICHOST,
            )
            for found_family, _, protocol, _, address in found
        ]

    async def close(self) -> None:
        """Take no further names; look-ups under way end by themselves."""
        self._threads.shutdown(wait=False, cancel_futures=True)
