"""Write docs/reference/python.md from the signatures and docstrings of the public names of ``mediagate``."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import Any, get_args

import mediagate
from mediagate import Key

PAGE = Path(__file__).parent / "reference" / "python.md"
SIMPLE = (bool, int, float, str, tuple, type(None))
INTRODUCTION = """# Python

<!-- Written by docs/python_reference.py from signatures and docstrings: run `make docs` after changing them. -->

Every public name of `mediagate`. Calls without HTTP need an open gate: `async with gate:`, or its lifespan in a host.

```python
import asyncio
from pathlib import Path

from mediagate import MediaGate, Source


async def main() -> None:
    gate = MediaGate(sources={"avatar": Source()}, moderation="off")
    async with gate:
        job = await gate.upload(Path("photo.jpg"), source_type="avatar", source_id="user-1")
        status = await gate.wait(job.job_id, timeout_s=30)
        print(status.status, status.media.urls["sm"] if status.media else status.reason)
        page = await gate.list_media("avatar", "user-1")
        await gate.delete_media(page.items[0].id)


if __name__ == "__main__":
    asyncio.run(main())
```

`upload` accepts bytes, a path, an open file, Starlette's `UploadFile` or an asynchronous iterator; a `source_id` may be
an int. `owner` restricts a call to that owner's uploads; anything else is treated as missing. `None`: no restriction.
In `upload` and `create_upload` it sets the owner. URLs begin with `public_base_url`, otherwise with `base_url`.

## Modules

A plugin imports from these modules, and only the names in their `__all__`. Everything else is \
internal and may move in any release.

| module | for |
| --- | --- |
| `mediagate` | the gate, its keys, values and protocols: this page |
| `mediagate.errors` | errors to raise and to catch: [errors](errors.md) |
| `mediagate.storage` | `ObjectInfo`, `check_key`, `CONTENT_TYPES`, `FOR_EVER` (the `Cache-Control` of published \
files) and others for [storages](../how-to/write-a-storage.md) |
| `mediagate.records` | `Database`: the tables of the official plugins; `MemoryRecords`, `PrismaRecords`; \
`get_job`, `get_state` |
| `mediagate.observe` | `Observer`, for metrics and traces; `WithoutQuery`, for logs |
| `mediagate.outbound` | `Poster`: a POST to an address that is checked first |
| `mediagate.cli` | for commands of a plugin: `Gate`, `load_gate`, `run_async`, `quit_with` |
| `mediagate.testing` | `isolated` and its `Judge`, `check_storage`, `check_records` |
"""


class Written(str):
    """Text that stands in a signature as it is written in code."""

    __slots__ = ()
    __repr__ = str.__str__


def written(annotation: Any) -> Any:
    return Written(annotation) if isinstance(annotation, str) else annotation


def signature_of(name: str, function: Any) -> str:
    """Return a call as it is written in code, one parameter a line if it is long."""
    signature = inspect.signature(function)
    kept = [
        parameter.replace(
            annotation=written(parameter.annotation),
            default=Written("...") if inspect.isfunction(parameter.default) else parameter.default,
        )
        for parameter in signature.parameters.values()
        if parameter.name != "self"
    ]
    signature = signature.replace(parameters=kept, return_annotation=written(signature.return_annotation))
    prefix = "async def " if inspect.iscoroutinefunction(function) else "def "
    line = f"{prefix}{name}{signature}"
    if len(line) <= 110:
        return line
    returns = "" if signature.return_annotation is signature.empty else f" -> {signature.return_annotation}"
    rows = [f"    {parameter}," for parameter in kept]
    named = [n for n, parameter in enumerate(kept) if parameter.kind is parameter.KEYWORD_ONLY]
    if named:
        rows.insert(named[0], "    *,")
    return "\n".join([f"{prefix}{name}(", *rows, f"){returns}"])


def text_of(documented: Any) -> str:
    """Return a docstring as Markdown."""
    return re.sub(r"``(.+?)``", r"`\1`", inspect.getdoc(documented) or "")


def members_of(cls: type) -> Iterator[tuple[str, Any]]:
    """Yield the public methods and properties that mediagate defines on a class, in the order of its code."""
    seen = set()
    for base in cls.__mro__:
        if not base.__module__.startswith("mediagate"):
            continue
        for name, member in vars(base).items():
            if name.startswith("_") or name in seen:
                continue
            seen.add(name)
            if isinstance(member, property) or inspect.isfunction(member):
                yield name, member


def fields_of(cls: type) -> list[str]:
    """Return the fields of a dataclass, with types and simple defaults."""
    if not is_dataclass(cls):
        return []
    return [
        f"{field.name}: {field.type}" + (f" = {field.default!r}" if type(field.default) in SIMPLE else "")
        for field in fields(cls)
    ]


def code(lines: str) -> str:
    return f"```py\n{lines}\n```"


def section(name: str, value: Any) -> Iterator[str]:
    """Yield the paragraphs about one public name."""
    yield f"## {name}"
    if isinstance(value, Key):
        yield f"`Key` of a replaceable part: `gate.decorate({name}, …)` provides it, `gate[{name}]` is the part in use."
    elif inspect.isclass(value) and issubclass(value, Enum):
        yield text_of(value)
        yield ", ".join(f"`{member.value}`" for member in value)
    elif inspect.isclass(value):
        yield text_of(value)
        if name == "MediaGate":
            yield code(signature_of("MediaGate", value.__init__).removeprefix("def ").removesuffix(" -> None"))
        if name in ("Settings", "Source"):
            yield f"Fields: [{name.lower()}]({name.lower() if name == 'Settings' else 'sources'}.md)."
        elif rows := fields_of(value):
            yield code("\n".join(rows))
        for member_name, member in members_of(value) if name not in ("Settings", "Source") else ():
            yield f"### {name}.{member_name}"
            if isinstance(member, property):
                yield code(f"{member_name}: {inspect.signature(member.fget).return_annotation}" if member.fget else "")
                yield text_of(member)
            else:
                yield code(signature_of(member_name, member))
                yield text_of(member)
    elif inspect.isfunction(value):
        yield code(signature_of(name, value))
        yield text_of(value)
    elif get_args(value) and all(isinstance(word, str) for word in get_args(value)):
        yield "One of " + ", ".join(f"`{word}`" for word in get_args(value)) + "."
    else:
        yield code(re.sub(r"\b[a-z_]+\.(?=[\w.])", "", f"{name} = {value}"))


def page() -> str:
    """Return the whole page."""
    names = ["MediaGate", *(name for name in mediagate.__all__ if name != "MediaGate")]
    parts = [part for name in names for part in section(name, getattr(mediagate, name)) if part]
    return INTRODUCTION + "\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
