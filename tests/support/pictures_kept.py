"""Pictures that were uploaded to a service, and whether it still has them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tests.support import loopback
from tests.support.server import Server


@dataclass(frozen=True)
class Kept:
    """A published picture: its URLs when it was uploaded, and the bytes of its files in the same order."""

    job_id: str
    media_id: str
    urls: list[str]
    files: list[bytes]


def absolute(service: Server, url: str) -> str:
    """Return a URL of the service or of another server."""
    return url if url.startswith("http") else f"http://127.0.0.1:{service.port}{url}"


def fetched(service: Server, url: str) -> bytes:
    """Return the bytes at a URL."""
    answer = loopback.get(absolute(service, url), timeout=30)
    assert answer.status_code == 200, f"{url}: {answer.status_code} {answer.text}"
    return answer.content


def sent(service: Server, photo: bytes, source_type: str = "avatar") -> str:
    """Upload a picture and return the id of its job."""
    answer = service.upload("a.jpg", photo, source_type=source_type)
    assert answer.status_code == 202, answer.text
    return str(answer.json()["jobId"])


def kept(service: Server, job_id: str) -> Kept:
    """Wait until a job is COMPLETE, and fetch its files."""
    answer = service.settled(job_id)
    assert answer.status_code == 200, answer.text
    media = answer.json()["media"]
    urls = _urls(media)
    return Kept(job_id, media["id"], urls, [fetched(service, url) for url in urls])


def uploaded(service: Server, photo: bytes, source_type: str = "avatar") -> Kept:
    """Upload a picture and return it with its files."""
    return kept(service, sent(service, photo, source_type))


def still_there(service: Server, picture: Kept) -> bool:
    """Whether a picture is COMPLETE and each of its files, by its present URL, has the same bytes."""
    job = loopback.get(f"{service.url}/status/{picture.job_id}", timeout=30)
    media = loopback.get(f"{service.url}/media/{picture.media_id}", timeout=30)
    if (job.status_code, media.status_code) != (200, 200):
        return False
    return [fetched(service, url) for url in _urls(media.json())] == picture.files


def _urls(media: dict[str, Any]) -> list[str]:
    return [*media["urls"].values(), media["originalUrl"]]
