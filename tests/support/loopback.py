"""Requests to servers on loopback.

None of them has a certificate, but httpx loads those of all authorities for each client: 30 ms of CPU time, a hundred
times as long as the request takes.
"""

from __future__ import annotations

import ssl
from functools import partial

import httpx

NO_AUTHORITIES = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

client = partial(httpx.Client, verify=NO_AUTHORITIES)
async_client = partial(httpx.AsyncClient, verify=NO_AUTHORITIES)
stream = partial(httpx.stream, verify=NO_AUTHORITIES)
get = partial(httpx.get, verify=NO_AUTHORITIES)
head = partial(httpx.head, verify=NO_AUTHORITIES)
options = partial(httpx.options, verify=NO_AUTHORITIES)
delete = partial(httpx.delete, verify=NO_AUTHORITIES)
post = partial(httpx.post, verify=NO_AUTHORITIES)
put = partial(httpx.put, verify=NO_AUTHORITIES)
