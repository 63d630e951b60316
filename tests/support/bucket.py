"""A bucket that signs URLs and takes PUTs over HTTP, as S3 does, on objects in memory."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from datetime import timedelta

import httpx
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from mediagate.storage import MemoryStorage, PresignedPut
from mediagate.values import utcnow

URL = "http://bucket.test"


class Bucket(MemoryStorage):
    """Signs key, type, size and end of a PUT together; whatever differs from that is refused with 403."""

    def __init__(self) -> None:
        super().__init__()
        self._secret = secrets.token_bytes(32)

    async def presign_put(self, key: str, *, content_type: str, size: int, expires_s: float) -> PresignedPut | None:
        until = utcnow() + timedelta(seconds=expires_s)
        signature = self._sign(key, content_type, size, until.isoformat())
        query = httpx.QueryParams(until=until.isoformat(), signature=signature)
        return PresignedPut(f"{URL}/{key}?{query}", {"Content-Type": content_type, "X-Signed": "yes"}, until)

    def app(self) -> Starlette:
        return Starlette(routes=[Route("/{key:path}", self._put, methods=["PUT"])])

    def _sign(self, key: str, content_type: str, size: int, until: str) -> str:
        return hmac.new(self._secret, f"{key}|{content_type}|{size}|{until}".encode(), hashlib.sha256).hexdigest()

    async def _put(self, request: Request) -> Response:
        key, body, until = request.path_params["key"], await request.body(), request.query_params["until"]
        wanted = self._sign(key, request.headers.get("Content-Type", ""), len(body), until)
        if request.query_params["signature"] != wanted or request.headers.get("X-Signed") != "yes":
            return Response("<Error><Code>SignatureDoesNotMatch</Code></Error>", status_code=403)
        await self.put(key, body)
        return Response()
