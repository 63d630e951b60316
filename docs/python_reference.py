"""Write docs/reference/python.md from the signatures and docstrings of ``mediagate`` and its public modules."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Annotated, Any, get_args, get_origin

import mediagate
from mediagate import Key, Records, Storage
from mediagate.errors import MediagateError

PAGE = Path(__file__).parent / "reference" / "python.md"
MODULES = ("errors", "operations", "storage", "records", "observe", "outbound", "cli", "testing")
"""The public modules of ``mediagate``, in the order of the page."""
SIMPLE = (bool, int, float, str, tuple, type(None))
INTRODUCTION = """# Python

<!-- Written by docs/python_reference.py from signatures and docstrings: run `make docs` after changing them. -->

Every public name of `mediagate`, and of its [public modules](#modules). Calls without HTTP need an open gate: \
`async with gate:`, or its lifespan in a host.

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
| [`mediagate.errors`](#mediagateerrors) | errors to raise and to catch: [errors](errors.md) |
| [`mediagate.operations`](#mediagateoperations) | `Operation`, `Params`, `Rate` and others to [write an operation]\
(../how-to/write-an-operation.md) |
| [`mediagate.storage`](#mediagatestorage) | `ObjectInfo`, `check_key`, `CONTENT_TYPES`, `FOR_EVER` (the \
`Cache-Control` of published files) and others for [storages](../how-to/write-a-storage.md) |
| [`mediagate.records`](#mediagaterecords) | `Database`: the tables of the official plugins; `MemoryRecords`, \
`PrismaRecords`; `get_job`, `get_state` |
| [`mediagate.observe`](#mediagateobserve) | `Observer`, for metrics and traces; `WithoutQuery`, for logs |
| [`mediagate.outbound`](#mediagateoutbound) | `Poster`: a POST to an address that is checked first |
| [`mediagate.cli`](#mediagatecli) | for commands of a plugin: `Gate`, `load_gate`, `run_async`, `quit_with` |
| [`mediagate.testing`](#mediagatetesting) | `isolated` and its `Judge`, `check_storage`, `check_records` |
"""


class Written(str):
    """Text that stands in a signature as it is written in code."""

    __slots__ = ()
    __repr__ = str.__str__


def written(annotation: Any) -> Any:
    return Written(annotation) if isinstance(annotation, str) else annotation


def decorator_of(function: Any) -> str:
    """Return the line that makes a function a context manager, or an empty string."""
    if not hasattr(function, "__wrapped__"):
        return ""
    made_of = inspect.unwrap(function)
    if inspect.isasyncgenfunction(made_of):
        return "@asynccontextmanager\nasync "
    return "@contextmanager\n" if inspect.isgeneratorfunction(made_of) else ""


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
    prefix = f"{decorator_of(function)}{'async def ' if inspect.iscoroutinefunction(function) else 'def '}"
    line = f"{prefix}{name}{signature}"
    if len(line.rpartition("\n")[2]) <= 110:
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


def constructor_of(name: str, cls: type) -> str | None:
    """Return the call that makes an object, for a class of mediagate that is neither a dataclass nor a protocol."""
    made_by = vars(cls).get("__init__")
    if made_by is None or is_dataclass(cls) or getattr(cls, "_is_protocol", False):
        return None
    return code(signature_of(name, made_by).removeprefix("def ").removesuffix(" -> None"))


def protocol_of(cls: type) -> type | None:
    """Return the protocol of ``mediagate`` that a class has all methods of, unless it is that protocol."""
    for protocol in (Storage, Records):
        if cls is not protocol and all(hasattr(cls, name) for name, _ in members_of(protocol)):
            return protocol
    return None


def members_section(name: str, value: type, level: str) -> Iterator[str]:
    """Yield the paragraphs about the methods and properties of a class; those of a protocol are a link."""
    protocol = protocol_of(value)
    known = {member for member, _ in members_of(protocol)} if protocol else set()
    if protocol:
        yield f"It has all methods of [{protocol.__name__}](#{protocol.__name__.lower()})."
    for member_name, member in members_of(value):
        if member_name in known:
            continue
        yield f"{level}# {name}.{member_name}"
        if isinstance(member, property):
            yield code(f"{member_name}: {inspect.signature(member.fget).return_annotation}" if member.fget else "")
        else:
            yield code(signature_of(member_name, member))
        yield text_of(member)


def class_section(name: str, value: type, level: str) -> Iterator[str]:
    """Yield the paragraphs about a class, without its heading."""
    yield text_of(value)
    if issubclass(value, Enum):
        yield ", ".join(f"`{member.value}`" for member in value)
    elif name in ("Settings", "Source"):
        yield f"Fields: [{name.lower()}]({name.lower() if name == 'Settings' else 'sources'}.md)."
    else:
        if call := constructor_of(name, value):
            yield call
        if rows := fields_of(value):
            yield code("\n".join(rows))
        yield from members_section(name, value, level)


def written_as(name: str, value: Any) -> str:
    """Return a constant or a type as it is written in code."""
    if get_origin(value) is Annotated:
        return f"{name} = Annotated[{get_args(value)[0].__name__}, ...]"
    if isinstance(value, (*SIMPLE, Mapping)):
        return f"{name} = {value!r}"
    return re.sub(r"\b[a-z_]+\.(?=[\w.])", "", f"{name} = {value}")


def section(name: str, value: Any, level: str = "##") -> Iterator[str]:
    """Yield the paragraphs about one public name, below a heading of a level."""
    yield f"{level} {name}"
    if isinstance(value, Key):
        yield f"`Key` of a replaceable part: `gate.decorate({name}, …)` provides it, `gate[{name}]` is the part in use."
    elif inspect.isclass(value):
        yield from class_section(name, value, level)
    elif inspect.isfunction(value):
        yield code(signature_of(name, value))
        yield text_of(value)
    elif get_args(value) and all(isinstance(word, str) for word in get_args(value)):
        yield "One of " + ", ".join(f"`{word}`" for word in get_args(value)) + "."
    else:
        yield code(written_as(name, value))


def module_sections(module: ModuleType) -> Iterator[str]:
    """Yield the paragraphs about a public module; errors are a table, names of ``mediagate`` a link."""
    yield f"## {module.__name__}"
    values = {name: getattr(module, name) for name in module.__all__}
    shared = [name for name in values if name in mediagate.__all__]
    if shared:
        yield "Also in `mediagate`: " + ", ".join(f"[{name}](#{name.lower()})" for name in shared) + "."
    errors = {n: v for n, v in values.items() if inspect.isclass(v) and issubclass(v, MediagateError)}
    if errors:
        rows = [f"| `{n}` | `{v.code}` | {' '.join(text_of(v).split())} |" for n, v in errors.items()]
        yield "\n".join(["| class | code | meaning |", "| --- | --- | --- |", *rows])
    for name, value in values.items():
        if name not in shared and name not in errors:
            yield from section(name, value, "###")


def page() -> str:
    """Return the whole page."""
    names = ["MediaGate", *(name for name in mediagate.__all__ if name != "MediaGate")]
    parts = [part for name in names for part in section(name, getattr(mediagate, name)) if part]
    for module in MODULES:
        parts += [part for part in module_sections(import_module(f"mediagate.{module}")) if part]
    return INTRODUCTION + "\n" + "\n\n".join(parts) + "\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
