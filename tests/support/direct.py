"""The three requests of a direct upload to a gate that is mounted by ``mounted.client_of``."""

from __future__ import annotations

from typing import Any

import httpx


async def declared(client: httpx.AsyncClient, photo: bytes) -> httpx.Response:
    told = {"sourceType": "avatar", "sourceId": "u1", "contentType": "image/jpeg", "size": len(photo)}
    return await client.post("/uploads", json=told)


async def sent(client: httpx.AsyncClient, target: Any, photo: bytes) -> httpx.Response:
    return await client.put(f"http://test{target['url']}", content=photo, headers=target["headers"])


async def completed(client: httpx.AsyncClient, target: Any) -> httpx.Response:
    return await client.post(f"http://test{target['completeUrl']}")
