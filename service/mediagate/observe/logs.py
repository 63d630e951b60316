"""Log lines: their fields, their text and JSON formats, and the redaction of secrets."""

from __future__ import annotations

import json
import logging
import re
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from mediagate.errors import MediagateError, members
from mediagate.values import Job, Rejudgement, Stage

LONGEST = 1000
"""Maximum length of a cause, in characters: a database driver may quote a whole statement."""

_USER_INFO = re.compile(r"(?<=://)[^\s/?#\"'<>]*@")
_QUERY = re.compile(r"(?<=[^\s\"'(])\?[^\s\"'<>=]+=[^\s\"'<>]*")
_CREDENTIALS = re.compile(r"\b(Bearer|Basic)\s+[\w.~+/=-]{8,}")
_OF_EVERY_RECORD = frozenset([*vars(logging.makeLogRecord({})), "message", "asctime", "taskName", "color_message"])


class LogFormat(StrEnum):
    """The formats of log lines."""

    TEXT = "text"
    JSON = "json"


def about(job: Job | Rejudgement, *, stage: Stage | None = None, **more: object) -> dict[str, object]:
    """Return the fields of a log line about a job: ``job_id``, ``source``, ``stage``, ``attempt``, and more.

    A re-judgement has neither source nor stage.
    """
    if isinstance(job, Rejudgement):
        return {"job_id": job.job_id, "attempt": job.attempts, **more}
    return {
        "job_id": job.id,
        "source": job.source_type,
        "stage": str(stage or job.stage),
        "attempt": job.attempts,
        **more,
    }


def redacted(text: str) -> str:
    """Return a text with the secrets of URLs cut: user and password, and query strings, which may hold signatures."""
    text = _QUERY.sub("?…", _USER_INFO.sub("…@", text))
    return _CREDENTIALS.sub(r"\1 …", text)


def cause_of(exc: BaseException) -> str:
    """Return the text of an exception and, in parentheses, its causes: members of groups, and ``__cause__``.

    Redacted, because a cause may have the text of a library; at most ``LONGEST`` characters.
    """
    said = redacted("; ".join(dict.fromkeys(map(_chain, members(exc)))))
    return said if len(said) <= LONGEST else f"{said[:LONGEST]}…"


def _chain(exc: BaseException) -> str:
    own = str(exc) if isinstance(exc, MediagateError) else f"{type(exc).__name__}: {exc}"
    said, seen = [], {id(exc)}
    while (cause := exc.__cause__) is not None and id(cause) not in seen:
        seen.add(id(cause))
        said += [f"{type(one).__name__}: {one}" for one in members(cause) if _words(one) not in own]
        exc = next(members(cause))
    return f"{own} ({'; '.join(said)})" if said else own


def _words(exc: BaseException) -> str:
    return (exc.strerror if isinstance(exc, OSError) else None) or str(exc)


class TextFormatter(logging.Formatter):
    """One line of text for each record, and its traceback."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as text, redacted."""
        return redacted(super().format(record))


class JSONFormatter(logging.Formatter):
    """One JSON object on one line for each record.

    ``time`` (RFC 3339, UTC, milliseconds), ``level``, ``logger``, ``message``, the fields of ``extra``, and
    ``exception`` with the traceback; redacted.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the record as JSON."""
        moment = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, Any] = {
            name: _plain(value) for name, value in vars(record).items() if name not in _OF_EVERY_RECORD
        }
        line |= {
            "time": moment.replace("+00:00", "Z"),
            "level": record.levelname,
            "logger": record.name,
            "message": redacted(record.getMessage()),
        }
        if record.exc_info:
            line["exception"] = redacted(self.formatException(record.exc_info))
        first = ("time", "level", "logger", "message")
        return json.dumps({name: line[name] for name in first} | line, ensure_ascii=False)


class WithoutQuery(logging.Filter):
    """Removes the query string, which may hold a token, from the lines of uvicorn's access log, and adds fields."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Change the record; always ``True``."""
        match record.args:
            case (str(), str() as method, str() as target, str(), int() as status):
                path = target.partition("?")[0]
                record.args = (record.args[0], method, path, *record.args[3:])
                vars(record).update(method=method, path=path, http_status=status)
        return True


def configure_logs(form: LogFormat, *, libraries: bool = True) -> None:
    """Write all log lines of this process to standard error in one format, from INFO on.

    For this package's own programs; a host that configures logging itself can use the formatters. Lines of other
    libraries below INFO are always dropped, and httpx's INFO lines too: they contain URLs, queries, headers and
    signatures. Without ``libraries`` the threshold for all of them is WARNING.
    """
    handler = logging.StreamHandler()
    handler.setFormatter(JSONFormatter() if form is LogFormat.JSON else TextFormatter())
    least = logging.INFO if libraries else logging.WARNING
    handler.addFilter(lambda record: record.levelno >= least or record.name.partition(".")[0] == "mediagate")
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.getLogger("httpx").setLevel(logging.WARNING)
    logging.captureWarnings(True)


def configured_format() -> LogFormat | None:
    """Return the format of this process's log lines; ``None`` if the host has configured them."""
    for handler in logging.getLogger().handlers:
        match handler.formatter:
            case JSONFormatter():
                return LogFormat.JSON
            case TextFormatter():
                return LogFormat.TEXT
    return None


def _plain(value: object) -> object:
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes"
    return value if isinstance(value, (int, float, bool, type(None))) else redacted(str(value))
