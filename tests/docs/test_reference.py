"""The tables of the reference are complete."""

from __future__ import annotations

import ast
import inspect
import re
import tomllib
from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from importlib import import_module

import pytest
import typer

import mediagate.errors
from docs.python_reference import page
from mediagate import EventType, JobKind, JobStatus, MediaGate, Plugin, Settings, Source, Status
from mediagate.cli import GROUPS, OWN, cli, plugin_commands
from mediagate.cli.moderation import commands as moderation_commands
from mediagate.cli.storage import commands as storage_commands
from mediagate.errors import MediagateError
from mediagate.http.downloads import Downloads
from mediagate.http.routes import core_routes
from mediagate.kernel.hooks import HOOK_NAMES
from mediagate.testing.batches import a_batch
from mediagate.testing.outputs import a_pipeline, outputs_of
from mediagate.testing.record_samples import a_job
from mediagate.values import HTTP_STATUS, BatchChild, BatchState, pipeline_json, utcnow
from mediagate_plugins.http_moderation import Service
from mediagate_plugins.pipelines import Preset
from mediagate_plugins.pipelines.batch_request import BATCH_FIELDS
from mediagate_plugins.pipelines.batch_request import FILES as BATCH_FILES
from mediagate_plugins.pipelines.commands import run
from mediagate_plugins.pipelines.request import FIELDS
from tests.support.pages import DOCS, PAGES, ROOT, first_column
from tests.test_structure import PUBLIC

PLUGINS = sorted(path.stem for path in (DOCS / "reference" / "plugins").glob("*.md") if path.stem != "index")


def error_classes(base: type[MediagateError] = MediagateError) -> Iterator[type[MediagateError]]:
    yield base
    for below in base.__subclasses__():
        yield from error_classes(below)


def rows(page: str) -> list[list[str]]:
    """Return the cells of all table rows of a page."""
    lines = re.findall(r"^\| (.*) \|$", PAGES[page], re.M)
    return [line.split(" | ") for line in lines]


def test_settings_page_has_exactly_the_settings() -> None:
    assert first_column("docs/reference/settings.md") == set(Settings.model_fields)


def test_sources_page_has_every_option() -> None:
    assert set(Source.model_fields) <= first_column("docs/reference/sources.md")


def test_hooks_page_has_exactly_the_hooks_and_says_which_block() -> None:
    listed = {row[0].strip("`"): row[2] for row in rows("docs/reference/hooks.md") if row[0].startswith("`")}
    assert list(listed) == list(HOOK_NAMES)
    for name, blocking in listed.items():
        assert blocking == ("yes" if name.startswith("pre_") or name == "on_ready" else "no"), name


def test_events_page_has_exactly_the_events() -> None:
    assert first_column("docs/reference/events.md") == {event.value for event in EventType}


def test_errors_page_has_every_code_with_its_status_and_advice() -> None:
    listed = {row[0].strip("`"): row for row in rows("docs/reference/errors.md") if row[0].startswith("`")}
    for error in error_classes():
        assert error.code in listed, error
        assert (
            listed[error.code][1] == str(error.status)
            or len(listed[error.code]) < 4
            or not listed[error.code][1].isdigit()
        )
        assert error.__name__ in (mediagate.errors.__doc__ or ""), error
    assert all(row[-1].strip() for row in listed.values())


def test_error_codes_are_unique_and_errors_have_docstrings() -> None:
    classes = list(error_classes())
    assert len({e.code for e in classes}) == len(classes)
    assert all(e.__doc__ and e.__doc__.rstrip().endswith(".") for e in classes)


def test_http_page_has_every_route(make_gate: Callable[..., MediaGate]) -> None:
    text = PAGES["docs/reference/http.md"]
    gate = make_gate()
    routes = core_routes(gate, Downloads(gate.settings))
    assert len(routes) > 12
    for route in routes:
        path = re.sub(r"_(\w)", lambda letter: letter[1].upper(), route.path).replace("{mediaId}", "{id}")
        for method in (route.methods or set()) - {"HEAD"}:
            assert re.search(rf"^\|.*`{method} {re.escape(path)}[`?].*\|", text, re.M) or (
                method == "GET" and re.search(rf"^\| `GET {re.escape(path)}", text, re.M)
            ), route


@pytest.mark.parametrize("kind", list(JobKind))
@pytest.mark.parametrize("status", list(JobStatus))
def test_http_page_has_every_field_of_a_status(kind: JobKind, status: JobStatus) -> None:
    job = a_pipeline(utcnow()) if kind is JobKind.PIPELINE else a_job(utcnow())
    ended = replace(job, status=status, error="an error", attempts=1)
    told = Status(ended, None).to_json(poll_after_ms=1).keys() - {"jobId", "status"}
    text = PAGES["docs/reference/http.md"]
    tables = "".join(re.findall(r"^\|.*", text[text.index("## Job status") : text.index("## Media")], re.M))
    assert {field for field in told if f"`{field}`" not in tables} == set()


def test_http_page_has_every_field_of_an_output() -> None:
    job = a_pipeline(utcnow())
    output = outputs_of(job, 1)
    (told,) = pipeline_json(job, output, {0: "/url"}, None)["outputs"]
    (row,) = [line for line in PAGES["docs/reference/http.md"].splitlines() if line.startswith("| `outputs`")]
    assert {field for field in told if f"`{field}`" not in row} == set()


def test_http_page_has_every_field_and_every_status_of_a_batch() -> None:
    batch, jobs = a_batch(utcnow())
    told = BatchState(batch, tuple(map(BatchChild.of, jobs))).to_json(url_of=str)
    text = PAGES["docs/reference/http.md"]
    section = text[text.index("## Batch status") : text.index("## Media")]
    assert {field for field in {*told, *told["jobs"][0]} if f"`{field}`" not in section} == set()
    assert {status for status in JobStatus if f"| {status} | {HTTP_STATUS[status]} |" not in section} == set()


def test_plugin_index_lists_every_extra_and_every_plugin_with_its_page() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    listed = first_column("docs/reference/plugins/index.md")
    assert set(extras) | set(PLUGINS) <= listed


def plugins_in(package: str) -> dict[str, Plugin[MediaGate, ...]]:
    """Return the plugins whose module in a package has their name."""
    found = {}
    for path in (ROOT / "plugins" / package.replace(".", "/")).iterdir():
        name = path.name.removesuffix(".py")
        if name.isidentifier() and not name.startswith("_") and path.suffix in ("", ".py"):
            value = vars(import_module(f"{package}.{name}")).get(name)
            if isinstance(value, Plugin):
                found[name] = value
    return found


DIALECTS = plugins_in("mediagate_plugins.dialects")


def test_every_plugin_has_a_page() -> None:
    assert set(plugins_in("mediagate_plugins")) == set(PLUGINS) - set(DIALECTS)


@pytest.mark.parametrize("name", PLUGINS)
def test_plugin_page_has_every_option(name: str) -> None:
    plugin = DIALECTS[name] if name in DIALECTS else getattr(import_module(f"mediagate_plugins.{name}"), name)
    options = list(inspect.signature(plugin.start).parameters)[1:]
    assert set(options) <= first_column(f"docs/reference/plugins/{name}.md")


def test_http_moderation_page_has_every_field_of_a_service() -> None:
    assert {field.name for field in fields(Service)} <= first_column("docs/reference/plugins/http_moderation.md")


def test_pipelines_page_has_every_field_and_every_code() -> None:
    listed = first_column("docs/reference/plugins/pipelines.md")
    assert {field.name for field in fields(Preset)} | {*FIELDS, *BATCH_FIELDS, BATCH_FILES} <= listed
    sources = (ROOT / "plugins" / "mediagate_plugins" / "pipelines").glob("*.py")
    calls = [node for path in sources for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    made = [call.args[1] for call in calls if isinstance(call.func, ast.Name) and call.func.id == "item"]
    codes = {code.value for code in made if isinstance(code, ast.Constant)}
    assert len(codes) > 8
    assert codes <= listed | first_column("docs/reference/operations.md")


def test_cli_page_has_every_option_of_run() -> None:
    command = typer.Typer(add_completion=False)
    command.command()(run)
    options = {word for parameter in typer.main.get_command(command).params for word in parameter.opts}
    assert {word for word in options if word.startswith("-")} <= first_column("docs/reference/cli.md")


def test_cli_page_has_every_command_and_every_option_of_serve_copy_and_rejudge() -> None:
    listed = first_column("docs/reference/cli.md")
    words = {name.split()[1] for name in listed if name.startswith("mediagate ")}
    assert words == {*OWN, *GROUPS, *plugin_commands().names}
    serve = typer.main.get_group(cli).commands["serve"]
    copy = typer.main.get_group(storage_commands).commands["copy"]
    rejudge = typer.main.get_group(moderation_commands).commands["rejudge"]
    parameters = [*serve.params, *copy.params, *rejudge.params]
    options = {word for parameter in parameters for word in (*parameter.opts, *parameter.secondary_opts)}
    assert {word for word in options if word.startswith("--")} - {"--worker", "--no-cors-credentials"} <= listed


def test_database_page_has_every_table() -> None:
    tables = set(re.findall(r'@@map\("(\w+)"\)', (ROOT / "schema.prisma").read_text()))
    assert first_column("docs/reference/database.md") == tables


def test_python_page_is_what_the_script_writes() -> None:
    written = (DOCS / "reference" / "python.md").read_text()
    assert written == page(), "docs/reference/python.md is outdated: run `make docs`"


def test_python_page_has_every_public_name_and_method_with_its_signature() -> None:
    written = PAGES["docs/reference/python.md"]
    for name in mediagate.__all__:
        assert f"\n## {name}\n" in written, name
    methods = [name for name, _ in inspect.getmembers(MediaGate, inspect.isfunction) if not name.startswith("_")]
    assert len(methods) > 30
    for name in methods:
        assert re.search(rf"^### MediaGate\.{name}\n\n```py\n(@\w+\n)?(async )?def {name}\(", written, re.M), name


@pytest.mark.parametrize("name", PUBLIC)
def test_python_page_has_every_name_of_a_public_module(name: str) -> None:
    written = PAGES["docs/reference/python.md"]
    assert f"\n| [`mediagate.{name}`](#mediagate{name}) |" in written
    section = written.partition(f"\n## mediagate.{name}\n")[2].partition("\n## ")[0]
    for public in import_module(f"mediagate.{name}").__all__:
        listed = f"\n### {public}\n" in section or f"\n| `{public}` |" in section
        assert listed or (public in mediagate.__all__ and f"[{public}](#{public.lower()})" in section), public


def test_python_page_has_no_address_of_an_object() -> None:
    assert " at 0x" not in PAGES["docs/reference/python.md"]
