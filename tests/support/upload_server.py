"""Receives uploads on a real uvicorn and a free port, whose number it prints."""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from mediagate.errors import MediagateError
from mediagate.http import problem
from mediagate.intake.body import Patience
from mediagate.intake.multipart import receive_upload

PATIENCE = Patience(idle_s=1.0, grace_s=1.0, least_rate=500)
LIMITS = {"avatar": 1024 * 1024, "post": 20 * 1024 * 1024}


def upload_app(spool_dir: Path, *, patience: Patience = PATIENCE) -> Starlette:
    """An app with one route, which answers with what it received and the mode of the spool file."""

    async def upload(request: Request) -> Response:
        try:
            async with receive_upload(request, spool_dir, limits=LIMITS, patience=patience) as got:
                found = got.path.stat()
                return JSONResponse(
                    {
                        "bytes": got.bytes,
                        "onDisk": found.st_size,
                        "mode": oct(found.st_mode & 0o777),
                        "sha256": got.sha256,
                        "filename": got.filename,
                        "fields": dict(got.fields),
                    }
                )
        except MediagateError as exc:
            return problem(exc)
        except ClientDisconnect:
            return Response(status_code=204)

    return Starlette(routes=[Route("/upload", upload, methods=["POST"])])


if __name__ == "__main__":
    listening = socket.create_server(("127.0.0.1", 0))
    sys.stdout.write(f"{listening.getsockname()[1]}\n")
    sys.stdout.flush()
    server = uvicorn.Server(uvicorn.Config(upload_app(Path(sys.argv[1])), log_level="warning"))
    server.run(sockets=[listening])
