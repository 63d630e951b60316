"""Log formatters: fields and redaction."""

from __future__ import annotations

import json
import logging
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mediagate.observe import WithoutQuery
from mediagate.observe.logs import JSONFormatter, TextFormatter, redacted


def record(message: str, *args: object, **extra: object) -> logging.LogRecord:
    made = logging.LogRecord("mediagate.worker", logging.WARNING, __file__, 1, message, args, None)
    vars(made).update(extra)
    return made


def as_json(made: logging.LogRecord) -> dict[str, Any]:
    text = JSONFormatter().format(made)
    assert "\n" not in text
    return dict(json.loads(text))


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("at postgresql://me:pa:s@w@db.example:5432/x now", "at postgresql://…@db.example:5432/x now"),
        ("redis://:pw@h/0", "redis://…@h/0"),
        (
            "GET https://b.s3.example/a/b.webp?X-Amz-Signature=1&x=2 failed",
            "GET https://b.s3.example/a/b.webp?… failed",
        ),
        ("'/status/job_a?token=abc'", "'/status/job_a?…'"),
        ('"GET /x?a=b HTTP/1.1"', '"GET /x?… HTTP/1.1"'),
        ("Authorization: Bearer abc.def-ghi_jkl", "Authorization: Bearer …"),
        ("Basic dXNlcjpwYXNz", "Basic …"),
        ("use ?http=200 to get 200 in every job state", "use ?http=200 to get 200 in every job state"),
        ("Is it there? a=b", "Is it there? a=b"),
        ("mail me@example.org about https://example.org/@me", "mail me@example.org about https://example.org/@me"),
    ],
)
def test_redaction_cuts_credentials_and_queries(text: str, cut: str) -> None:
    assert redacted(text) == cut
    assert TextFormatter().format(record("%s", text)).endswith(f"WARNING mediagate.worker {cut}")
    assert as_json(record("%s", text, field=text)) | {"time": ""} == {
        "time": "", "level": "WARNING", "logger": "mediagate.worker", "message": cut, "field": cut,
    }  # fmt: skip


def test_json_formatter_puts_an_exception_into_one_field() -> None:
    made = record('job "%s"\nbroke', "zoë 🐈", job_id="job_1", attempt=2, body=b"\x89PNG", level="mine")
    try:
        try:
            raise OSError("https://u:p@h/k?sig=1")
        except OSError as exc:
            raise ValueError("outer") from exc
    except ValueError:
        made.exc_info = sys.exc_info()
    line = as_json(made)
    assert line["message"] == 'job "zoë 🐈"\nbroke'
    assert (line["job_id"], line["attempt"], line["body"], line["level"]) == ("job_1", 2, "4 bytes", "WARNING")
    assert "OSError: https://…@h/k?…" in line["exception"]
    assert line["exception"].endswith("ValueError: outer")


def test_access_log_loses_its_query_and_gains_fields() -> None:
    made = logging.LogRecord(
        "uvicorn.access",
        logging.INFO,
        "",
        1,
        '%s - "%s %s HTTP/%s" %d',
        ("1.2.3.4:5", "GET", "/a?secret", "1.1", 200),
        None,
    )
    assert WithoutQuery().filter(made)
    assert made.getMessage() == '1.2.3.4:5 - "GET /a HTTP/1.1" 200'
    line = as_json(made)
    assert (line["method"], line["path"], line["http_status"]) == ("GET", "/a", 200)
    other = record("no %s", "request")
    assert WithoutQuery().filter(other) and other.getMessage() == "no request"


def test_monitor_page_logging_configuration_works() -> None:
    docs = (Path(__file__).parents[2] / "docs" / "how-to" / "monitor.md").read_text()
    (block,) = [code for code in re.findall(r"```python\n(.*?)```", docs, re.S) if "dictConfig" in code]
    program = block + "logging.getLogger('mediagate.worker').warning('job %s', 'job_1', extra={'job_id': 'job_1'})\n"
    program += "logging.getLogger('uvicorn.access').info('%s - \"%s %s HTTP/%s\" %d', 'c', 'GET', '/a?b', '1.1', 200)\n"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    job, request = map(json.loads, done.stderr.splitlines())
    assert (job["message"], job["job_id"]) == ("job job_1", "job_1")
    assert (request["message"], request["path"]) == ('c - "GET /a HTTP/1.1" 200', "/a")
