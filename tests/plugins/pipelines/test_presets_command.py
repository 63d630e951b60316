"""``mediagate presets``: the presets of a gate, with their versions, and whether they work here."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from tests.support.command import mediagate

NAMES = ("thumb", "two", "marked", "pages", "joined")
"""The presets of the gate."""


def presets(tmp_path: Path, *arguments: str, gate: str = "pipeline_gate:gate") -> subprocess.CompletedProcess[str]:
    return mediagate("presets", *arguments, data_dir=tmp_path / "data", MEDIAGATE_GATE=gate)


def test_list_and_show_tell_the_same_version_and_need_no_database(tmp_path: Path) -> None:
    listed = presets(tmp_path, "list")
    assert listed.returncode == 0, listed.stderr
    thumb, two, marked, *_ = [line.split() for line in listed.stdout.splitlines()]
    assert (thumb[0], thumb[2:]) == ("thumb", ["resize,", "save", "params:", "width,", "format"])
    assert (two[0], two[2:]) == ("two", ["save,", "resize,", "save,", "read_metadata"])
    shown = json.loads(presets(tmp_path, "show", "thumb").stdout)
    assert (shown["name"], shown["version"]) == ("thumb", thumb[1])
    assert shown["steps"][0]["width"] == {"$param": "width"}
    assert shown["params"]["properties"]["width"]["maximum"] == 500
    assert json.loads(presets(tmp_path, "show", "marked").stdout)["pictures"] == ["logo"]
    assert marked[0] == "marked"
    assert not (tmp_path / "data" / "mediagate.db").exists()


def test_show_of_an_unknown_preset_names_those_that_there_are(tmp_path: Path) -> None:
    done = presets(tmp_path, "show", "thum")
    assert done.returncode == 1
    assert done.stderr == f"mediagate: there is no preset 'thum'; presets of this gate: {', '.join(NAMES)}\n"


def test_check_passes_for_sound_presets(tmp_path: Path) -> None:
    done = presets(tmp_path, "check")
    assert done.returncode == 0, done.stderr
    assert [line.split()[:2] for line in done.stdout.splitlines()] == [["ok", name] for name in NAMES]


def test_check_fails_with_a_pointer_for_each_fault(tmp_path: Path) -> None:
    done = presets(tmp_path, "check", gate="broken_presets_gate:gate")
    assert done.returncode == 1
    lines = [line.split(maxsplit=3) for line in done.stdout.splitlines()]
    assert [line[:2] for line in lines] == [
        ["ok", "sound"], ["FAIL", "wide"], ["FAIL", "wide"], ["FAIL", "mistyped"],
    ]  # fmt: skip
    assert [line[2] for line in lines[1:]] == ["/steps/0/width:", "/steps/0/width:", "/steps/1/op:"]
    assert "did you mean 'save'?" in lines[3][3]
    listed = presets(tmp_path, "list", gate="broken_presets_gate:gate")
    assert [line.split()[0] for line in listed.stdout.splitlines() if "invalid" in line] == ["wide", "mistyped"]
    assert presets(tmp_path, "show", "wide", gate="broken_presets_gate:gate").returncode == 1


def test_presets_of_a_gate_without_pipelines_say_how_to_get_them(tmp_path: Path) -> None:
    done = presets(tmp_path, "list", gate="plain_gate:gate")
    assert done.returncode == 1
    assert "add gate.register(pipelines" in done.stderr
