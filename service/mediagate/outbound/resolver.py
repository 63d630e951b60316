"""DNS lookups in separate threads, so that an unresponsive name server blocks nothing else."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

THREADS = 16


class Resolver:
    """The system's resolver; concurrent lookups of the same name share one query.

    So a name occupies at most one thread, however slow the system is and however often the name is requested.
    """

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="mediagate-dns")
        self._asked: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str) -> list[str]:
        """Return the addresses of a host; raises ``OSError`` or ``UnicodeError``."""
        asked = self._asked.get(host)
        if asked is None:
            asked = asyncio.get_running_loop().run_in_executor(self._threads, _look_up, host)
            self._asked[host] = asked

            def answered(answer: asyncio.Future[list[str]]) -> None:
                del self._asked[host]
                if not answer.cancelled():
                    answer.exception()  # retrieved here, because the waiters may have been cancelled

            asked.add_done_callback(answered)
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Cancel all lookups."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for asked in self._asked.values():
            asked.cancel()


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
