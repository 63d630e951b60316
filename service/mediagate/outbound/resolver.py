"""Names to addresses, in threads of their own: a name server that does not answer shall hold up nothing else."""

from __future__ import annotations

import asyncio
import socket
from concurrent.futures import ThreadPoolExecutor

THREADS = 16


class Resolver:
    """Asks the system; whoever wants a name that is being looked up waits for the same answer.

    So one name holds one thread at most, however long the system takes and however often it is wanted.
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
                    answer.exception()  # looked at here, for whoever wanted it may have given up

            asked.add_done_callback(answered)
        return await asyncio.shield(asked)

    def close(self) -> None:
        """Wait for no more answers."""
        self._threads.shutdown(wait=False, cancel_futures=True)
        for asked in self._asked.values():
            asked.cancel()


def _look_up(host: str) -> list[str]:
    found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
