"""The HTTP status code of a job or a batch, unless the caller wants 200 in each of its states."""

from __future__ import annotations

from starlette.requests import Request

from mediagate.errors import InvalidParameter


def as_200(request: Request) -> bool:
    """Return whether the caller sent ``?http=200``; raises ``InvalidParameter``."""
    if (asked := request.query_params.get("http", "status")) not in ("status", "200"):
        raise InvalidParameter("http: leave it out, or use ?http=200 to get 200 in every job state")
    return asked == "200"
