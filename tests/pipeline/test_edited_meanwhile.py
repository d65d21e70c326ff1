"""Files that are edited between two stages of one `repro`: each stage records what it ran on."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from tests import make, stages


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_parameters_edited_during_one_stage_are_recorded_of_the_next(tmp_path: Path, jobs: str):
    text = """
stages:
  first: {cmd: "echo 1 > a.txt; echo 'e: 9' > params.yaml", params: [e], outs: [a.txt]}
  second: {cmd: cat params.yaml > out.txt, deps: [a.txt], params: [e], outs: [out.txt]}
"""
    folder = stages.pipeline(tmp_path / "project", text, {"params.yaml": "e: 8\n"})
    said = make.done(folder, "repro", "-j", jobs)
    assert "edited while 'first' ran" in said
    assert "edited while 'second' ran" not in said
    assert (folder / "out.txt").read_text() == "e: 9\n"
    locked = stages.locked(folder)
    assert locked["first"]["params"] == {"params.yaml": {"e": 8}}
    assert locked["second"]["params"] == {"params.yaml": {"e": 9}}
    make.write(folder, {"params.yaml": "e: 8\n"})
    assert "second" in json.loads(make.done(folder, "status", "--json"))
    make.done(folder, "repro")
    assert (folder / "out.txt").read_text() == "e: 8\n"


@pytest.mark.parametrize("dep", ["in.txt", "in", "in.yaml"])
def test_data_edited_during_one_stage_is_recorded_of_the_next(tmp_path: Path, dep: str):
    file = "in/x" if dep == "in" else dep
    text = f"""
stages:
  first: {{cmd: "cat {file} > a.txt; printf 9 > {file}", deps: [{dep}], outs: [a.txt]}}
  second: {{cmd: cat a.txt {file} > out.txt, deps: [a.txt, {dep}], outs: [out.txt]}}
"""
    folder = stages.pipeline(tmp_path / "project", text, {file: "8"})
    make.done(folder, "repro")
    assert (folder / "out.txt").read_text() == "89"
    first, second = (stages.locked(folder)[name] for name in ("first", "second"))
    now = {row["path"]: row["md5"] for row in second["deps"]}[dep]
    assert first["deps"][0]["md5"] != now
    if dep != "in":
        assert now == hashlib.md5(b"9").hexdigest()
    found = json.loads(make.done(folder, "status", "--json"))
    assert list(found) == ["first"]


def test_an_edit_that_undoes_a_change_lets_the_later_stage_be(tmp_path: Path):
    text = """
stages:
  first: {cmd: "cp in.txt a.txt; printf 8 > p.txt", deps: [in.txt, p.txt], outs: [a.txt]}
  second: {cmd: "echo x >> ../starts; cp p.txt b.txt", deps: [p.txt], outs: [b.txt]}
"""
    folder = stages.pipeline(tmp_path / "project", text, {"in.txt": "1", "p.txt": "8"})
    make.done(folder, "repro")
    make.write(folder, {"in.txt": "2", "p.txt": "9"})
    make.done(folder, "repro")
    assert (tmp_path / "starts").read_text() == "x\n"


def test_what_git_ignores_is_written_before_a_stage_reads_the_folder(tmp_path: Path):
    text = """
stages:
  one: {cmd: echo 1 > d/a, outs: [d/a]}
  oneb: {cmd: echo 1 > d/b, deps: [d/a], outs: [d/b]}
  two: {cmd: cat d/.gitignore > n.txt, deps: [d], outs: [n.txt]}
  three: {cmd: cat .gitignore > m.txt, deps: [.gitignore, n.txt], outs: [m.txt]}
"""
    folder = stages.pipeline(tmp_path / "project", text, {"d/keep": ""})
    make.write(folder, {".gitignore": ""})
    make.done(folder, "repro", "two")
    assert (folder / "n.txt").read_text() == "/a\n/b\n"
    found = json.loads(make.done(folder, "repro", "two", "--dry", "--json"))
    assert {done["stage"]: done["state"] for done in found["stages"]} == dict.fromkeys(
        ["one", "oneb", "two"], "unchanged"
    )
