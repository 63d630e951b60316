"""The routes of direct uploads: declare a file, send its bytes here if the storage cannot take them, complete."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.api import Calls
from mediagate.http.access import ask_who
from mediagate.http.links import link_base
from mediagate.images import check_head
from mediagate.intake import (
    Incoming,
    closes_unread,
    complete,
    declare,
    find_open_upload,
    keep_file,
    lock_content,
    open_body,
    read_declaration,
    receive_file,
    receive_json,
)
from mediagate.values import Action, DirectUpload, Job, Principal, owner_and_key, owner_seen_by


class DirectRoutes:
    """The routes of direct uploads of one gate; ``accepted`` writes the answer of ``POST /upload`` for a job."""

    def __init__(self, gate: Calls, accepted: Callable[[Request, Job], Awaitable[Response]]) -> None:
        self._gate = gate
        self._accepted = accepted

    def routes(self) -> list[Route]:
        """Return them."""
        return [
            Route("/uploads", self._declare, methods=["POST"]),
            Route("/uploads/{upload_id}/content", self._receive, methods=["PUT"]),
            Route("/uploads/{upload_id}/complete", self._complete, methods=["POST"]),
        ]

    async def _declare(self, request: Request) -> Response:
        incoming = Incoming(request)
        parts, admission = self._gate.runtime.parts, self._gate.runtime.admission
        async with open_body(incoming, self._gate.runtime.patience) as body:
            self._gate.runtime.refuse_when_closing()
            principal = await ask_who(self._gate.runtime.parts, incoming, Action.UPLOAD)
            async with admission.admit(incoming):
                declared = await receive_json(body, request.headers.get("Content-Type", ""))
                incoming.state.source_type = declared.get("sourceType")
                declaration = read_declaration(declared, parts.sources, strict=parts.settings.strict)
                owner, key_id = owner_and_key(principal)
                base_url = link_base(self._gate.settings, request)
                target = await declare(declaration, parts, owner=owner, key_id=key_id, base_url=base_url)
        ignored = {"ignored": declaration.ignored} if declaration.ignored else {}
        return JSONResponse(target.to_json() | ignored, status_code=201, headers={"Cache-Control": "no-store"})

    async def _receive(self, request: Request) -> Response:
        """Take the bytes under the token of the declaration, in the name of whoever was authorized to declare."""
        incoming = Incoming(request)
        running, parts = self._gate.runtime, self._gate.runtime.parts
        token, content_type = request.query_params.get("token", ""), request.headers.get("Content-Type", "")
        with closes_unread(incoming):
            self._gate.runtime.refuse_when_closing()
            upload = await find_open_upload(request.path_params["upload_id"], token, content_type, parts)
            check = partial(check_head, formats=parts.sources[upload.ticket.source_type].formats)
            incoming.state.principal = Principal(upload.owner_id, key=upload.key_id) if upload.owner_id else None
            async with (
                running.admission.admit(incoming, size=upload.bytes),
                open_body(incoming, running.patience) as body,
            ):
                await parts.hooks.run("pre_file", incoming, upload.ticket.source_type)
                async with (
                    lock_content(upload, parts) as lock,
                    receive_file(body, running.spool_dir, size=upload.bytes, check_head=check) as file,
                ):
                    await keep_file(file, upload, lock, parts)
        return Response(status_code=204, headers={"Cache-Control": "no-store"})

    async def _complete(self, request: Request) -> Response:
        with self._gate.runtime.parts.observer.during("upload", request=request):
            return await self._checked(request)

    async def _checked(self, request: Request) -> Response:
        incoming = Incoming(request)
        running, parts = self._gate.runtime, self._gate.runtime.parts
        self._gate.runtime.refuse_when_closing()
        owner = owner_seen_by(await ask_who(self._gate.runtime.parts, incoming, Action.UPLOAD))

        async def on_upload(upload: DirectUpload) -> None:
            await parts.hooks.run("pre_file", incoming, upload.ticket.source_type)
            if upload.token_hash is None:
                # The storage took the file; here is where it counts.
                incoming.received += upload.bytes

        async with running.admission.admit(incoming) as visit:
            upload_id = request.path_params["upload_id"]
            job, made = await complete(
                upload_id, parts, running.spool_dir, owner=owner, room=running.admission.room, on_upload=on_upload
            )
            visit.job = job if made else None
        return await self._accepted(request, job)
