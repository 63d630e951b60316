"""The HTTP status code of a job or a batch, unless the caller wants 200 in each of its states."""

from __future__ import annotations

from starlette.requests import Request

from mediagate.errors import InvalidParameter


def as_200(request: Request, default: str) -> bool:
    """Return whether ``?http=``, or the gate's default without it, is 200; raises ``InvalidParameter``."""
    if (asked := request.query_params.get("http", default)) not in ("status", "200"):
        raise InvalidParameter(
            "http: leave it out, use ?http=200 to get 200 in every state, or ?http=status for the code of the state"
        )
    return asked == "200"
