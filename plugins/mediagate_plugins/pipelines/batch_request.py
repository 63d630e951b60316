"""From the JSON of ``POST /batches`` to checked requests, or to the faults of all of them at once."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import Any

from mediagate import callback_problem, reference_problem
from mediagate.errors import Faults, InvalidPipeline
from mediagate.operations import MOST_INPUTS, Item, did_you_mean, item
from mediagate_plugins.pipelines.request import (
    MOST_FIELDS,
    PipelineRequest,
    checked_text,
    read_request,
    unknown_fields,
)
from mediagate_plugins.pipelines.rules import Rules

BATCH_FIELDS = ("jobs", "clientReferenceId", "callbackUrl")
FILES = "files"
"""The field of a job that names the files of the form on which its steps run."""


@dataclass(frozen=True, slots=True)
class BatchJob:
    """One job of a batch."""

    request: PipelineRequest
    files: tuple[str, ...]
    """The names of the files on which its steps run."""
    pictures: tuple[str, ...]
    """The names of the files to which its steps refer."""


@dataclass(frozen=True, slots=True)
class BatchRequest:
    """A checked request."""

    jobs: tuple[BatchJob, ...]
    client_reference_id: str | None = None
    callback_url: str | None = None
    ignored: tuple[str, ...] = ()
    """Unknown fields, those of a job with its place, such as ``jobs/3/colour``."""


def read_batch(body: dict[str, Any], rules: Rules, *, ad_hoc: bool, files: Collection[str]) -> BatchRequest:
    """Return the request in a JSON object that came with files of these names.

    ``ad_hoc`` says whether its caller may send steps of its own. Raises ``InvalidPipeline`` with the faults of all
    jobs, and ``Forbidden`` for steps that the caller may not send.
    """
    if len(body) > MOST_FIELDS:
        raise InvalidPipeline([item((), "too_long", f"{len(body)} fields; up to {MOST_FIELDS} are read")])
    faults, found = Faults(), list[Item]()
    told = {name: value for name, value in body.items() if value is not None}
    ignored = list(unknown_fields(told, BATCH_FIELDS, found, strict=rules.strict))
    reference = checked_text(told, "clientReferenceId", reference_problem, found)
    callback = checked_text(told, "callbackUrl", callback_problem, found)
    faults.errors += found
    jobs = list[BatchJob]()
    for number, one in enumerate(_jobs(told, rules, faults)):
        if faults.full:
            break  # suggesting names for the unknown ones of a thousand jobs would take minutes
        with faults.at(f"/jobs/{number}"):
            job = _job(one, rules, files, ad_hoc=ad_hoc)
            ignored += [f"jobs/{number}/{name}" for name in job.request.ignored]
            jobs.append(job)
    if not faults.errors:
        used = {name for job in jobs for name in (*job.files, *job.pictures)}
        for name in sorted({*files} - used):
            faults.add("", "unused_picture", f"no job uses the file {name!r}; name it in the files of a job")
    faults.check()
    return BatchRequest(tuple(jobs), reference, callback, tuple(ignored))


def _jobs(body: dict[str, Any], rules: Rules, faults: Faults) -> list[Any]:
    jobs = body.get("jobs")
    if jobs is None:
        faults.add("/jobs", "missing", "send a list of 1 or more requests, each as for POST /pipelines")
    elif not isinstance(jobs, list):
        faults.add("/jobs", "wrong_type", "not a list of requests")
    elif not jobs:
        faults.add("/jobs", "too_short", "send 1 or more")
    elif len(jobs) > rules.batch_jobs:
        faults.add("/jobs", "too_long", f"{len(jobs):,} jobs; up to {rules.batch_jobs:,} are accepted in one batch")
    else:
        return jobs
    return []


def _job(body: Any, rules: Rules, files: Collection[str], *, ad_hoc: bool) -> BatchJob:
    faults, told = list[Item](), body
    named: tuple[str, ...] = ()
    if isinstance(body, dict):
        told = {name: value for name, value in body.items() if name != FILES}
        named = tuple(_files(body.get(FILES), files, faults))
    try:
        # Each step may refer to any file of the form; which of them this one refers to is read from its steps.
        request = read_request(told, rules, ad_hoc=ad_hoc, inputs=files, shared=True)
    except InvalidPipeline as exc:
        raise InvalidPipeline([*faults, *exc.errors]) from None
    pictures = tuple(sorted(request.referred(rules.operations) - request.pictures.keys()))
    stored = len(request.pictures) + len(request.upload_ids) + (request.media_id is not None)
    if not (named or faults or request.upload_ids or request.media_id):
        faults.append(item((FILES,), "missing", "there is no picture; name files of the form, a mediaId or uploadIds"))
    elif len(named) + len(pictures) + stored > MOST_INPUTS:
        faults.append(item((FILES,), "too_long", f"at most {MOST_INPUTS} pictures for one job"))
    for name in sorted({*named} & {*pictures}):
        faults.append(item((FILES,), "invalid_value", f"{name!r} is a picture to which a step refers; leave it out"))
    if faults:
        raise InvalidPipeline(faults)
    return BatchJob(request, named, pictures)


def _files(names: Any, files: Collection[str], faults: list[Item]) -> Iterator[str]:
    """Yield the names of files in a job."""
    if names is None:
        return
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        faults.append(item((FILES,), "wrong_type", "not a list of names", names))
    elif len(names) > MOST_INPUTS:
        faults.append(item((FILES,), "too_long", f"at most {MOST_INPUTS}"))
    elif len(set(names)) < len(names):
        faults.append(item((FILES,), "invalid_value", "each file once"))
    else:
        for number, name in enumerate(names):
            if name in files:
                yield name
            else:
                hint = did_you_mean(name, files)
                faults.append(item((FILES, number), "unknown_file", f"the form has no file {name[:64]!r}{hint}", name))
