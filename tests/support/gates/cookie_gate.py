"""A gate whose users have a session cookie."""

from starlette.requests import Request

from mediagate import Action, MediaGate, Principal, Source


async def by_session(request: Request, action: Action) -> Principal | None:
    user = request.cookies.get("session", "")
    return Principal(id=user) if user else None


gate = MediaGate(sources={"avatar": Source()}, moderation="off", authorize=by_session)
