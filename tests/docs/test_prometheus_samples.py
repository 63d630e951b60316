"""Prometheus's configuration, alerts and the Grafana dashboard: promtool accepts them, and a gate has their metrics."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from mediagate import MediaGate
from mediagate.values import JobStatus
from mediagate_plugins.metrics import instruments, metrics
from tests.support.deploy_samples import SAMPLES, sample
from tests.support.mounted import client_of
from tests.support.programs import program

pytestmark = pytest.mark.anyio

MakeGate = Callable[..., MediaGate]
RULES: list[dict[str, Any]] = yaml.safe_load(sample("alerts.yml"))["groups"][0]["rules"]
DASHBOARD: dict[str, Any] = json.loads(sample("grafana-dashboard.json"))
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
SUFFIXES = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
OF_PROMETHEUS = {"up"}
"""Metrics that Prometheus makes itself."""
OF_TARGETS = {"le", "job", "instance"}
"""Labels of buckets and of scraped processes."""


def promtool(*words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    command = [program("promtool", "prometheus"), *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The samples as they are installed."""
    for path in SAMPLES.glob("*.yml"):
        shutil.copy(path, tmp_path)
    (tmp_path / "mediagate-token").write_text("a-token")
    return tmp_path


def queries() -> list[str]:
    """Return every expression of the dashboard, with an interval in place of Grafana's variable."""
    found = [target["expr"] for panel in PANELS for target in panel["targets"]]
    return [expression.replace("$__rate_interval", "5m") for expression in found]


def expressions() -> list[str]:
    return [*queries(), *(str(rule["expr"]) for rule in RULES)]


def test_promtool_accepts_the_configuration(folder: Path) -> None:
    done = promtool("check", "config", "prometheus.yml", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(RULES)} rules found" in done.stdout


def test_alerts_are_raised_when_they_should(folder: Path) -> None:
    done = promtool("test", "rules", "alerts_test.yml", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr


def test_each_alert_is_tested_raised_and_quiet() -> None:
    tests = [test for each in yaml.safe_load(sample("alerts_test.yml"))["tests"] for test in each["alert_rule_test"]]
    names = {rule["alert"] for rule in RULES}
    assert {test["alertname"] for test in tests if test["exp_alerts"]} == names
    assert {test["alertname"] for test in tests if not test["exp_alerts"]} == names


def test_promtool_accepts_every_query_of_the_dashboard(folder: Path) -> None:
    rules = [{"record": f"query:{number}", "expr": query} for number, query in enumerate(queries())]
    (folder / "dashboard.yml").write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", "dashboard.yml", folder=folder)
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{len(rules)} rules found" in done.stdout


async def test_queries_name_metrics_of_a_gate(make_gate: MakeGate) -> None:
    gate = make_gate(worker=False)
    gate.register(metrics)
    async with client_of(gate) as client:
        text = (await client.get("/metrics")).text
    exposed = {
        f"{name.removesuffix('_total')}{suffix}"
        for name, kind in re.findall(r"^# TYPE (\w+) (\w+)$", text, re.M)
        for suffix in SUFFIXES.get(kind, ())
    }
    asked = {name for text in expressions() for name in re.findall(r"\b(?:mediagate|process)_\w+", text)}
    assert len(asked) > 20
    assert asked <= exposed
    assert {"mediagate_records_up", "process_open_fds"} <= asked


def labels_of_instruments() -> set[str]:
    made = vars(instruments).values()
    return {label for each in made for label in getattr(each, "_labelnames", ())}


def test_queries_use_labels_of_the_metrics() -> None:
    listed = [names for text in expressions() for names in re.findall(r"(?:by|on) \(([^)]*)\)", text)]
    matched = {label for text in expressions() for label in re.findall(r'[{,] ?(\w+)(?:=~|!~|!=|=)"', text)}
    used = {name.strip() for names in listed for name in names.split(",")} | matched
    assert {"source", "status", "le", "job"} <= used
    assert used <= labels_of_instruments() | OF_TARGETS
    legends = {label for panel in PANELS for target in panel["targets"] for label in _shown(target["legendFormat"])}
    assert legends <= used


def _shown(legend: str) -> list[str]:
    return re.findall(r"{{(\w+)}}", legend)


def test_alerts_use_statuses_of_jobs() -> None:
    words = {word for text in expressions() for word in re.findall(r'status="(\w+)"', text)}
    assert words
    assert words <= set(map(str, JobStatus))


def test_scraped_jobs_are_those_that_the_queries_select() -> None:
    config = yaml.safe_load(sample("prometheus.yml"))
    names = [each["job_name"] for each in config["scrape_configs"]]
    assert all(re.fullmatch(r"mediagate-.*", name) for name in names)
    selected = {word for text in expressions() for word in re.findall(r'job=~"(.*?)"', text)}
    assert selected == {"mediagate-.*"}


def test_dashboard_has_the_structure_that_grafana_imports() -> None:
    assert "id" not in DASHBOARD, "the id of another Grafana's database"
    assert DASHBOARD["schemaVersion"] >= 39
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    (variable,) = DASHBOARD["templating"]["list"]
    assert (variable["type"], variable["query"], variable["name"]) == ("datasource", "prometheus", "datasource")
    source = {"type": "prometheus", "uid": "${datasource}"}
    for panel in PANELS:
        assert panel["type"] in ("stat", "timeseries"), panel["title"]
        assert panel["datasource"] == source
        assert {"fieldConfig", "options", "gridPos", "title"} <= set(panel)
        assert all(target["datasource"] == source for target in panel["targets"])
        assert len({target["refId"] for target in panel["targets"]}) == len(panel["targets"])


def _cells(panel: dict[str, Any]) -> Iterator[tuple[int, int]]:
    place = panel["gridPos"]
    columns = range(place["x"], place["x"] + place["w"])
    yield from itertools.product(columns, range(place["y"], place["y"] + place["h"]))


def test_dashboard_panels_fill_a_grid_without_overlap() -> None:
    cells = [cell for panel in DASHBOARD["panels"] for cell in _cells(panel)]
    assert len(cells) == len(set(cells))
    assert {column for column, _ in cells} == set(range(24))
