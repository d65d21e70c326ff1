"""Metrics of many revisions, and tables of metrics and parameters in every form."""

from __future__ import annotations

import csv
import json
import subprocess
import sys
from pathlib import Path

import pytest

from assay.workflows.result_tables import rounded
from tests import make


@pytest.fixture
def revised(project: Path) -> Path:
    """A project with a metric at two tags of one commit, on two branches and changed since."""
    make.write(project, {"dvc.yaml": "metrics: [m.json]\n", "m.json": '{"acc": 0.123456789}'})
    make.write(project, {"params.yaml": "lr: 0.123456789\nlayers: [1, 2]\n"})
    make.commit(project)
    make.git(project, "tag", "v1")
    make.git(project, "tag", "-a", "-m", "the same", "first")
    make.git(project, "tag", "no-commit", "HEAD:m.json")
    make.git(project, "checkout", "-q", "-b", "broken")
    make.commit(make.write(project, {"dvc.yaml": "metrics: ["}))
    make.git(project, "checkout", "-q", "main")
    return make.write(project, {"m.json": '{"acc": 0.5, "n": {"k": 3}}'})


def test_each_revision_has_a_row_and_one_that_is_broken_a_warning(revised):
    shown = make.assay(revised, "metrics", "show", "-a", "-T")
    assert shown.code == 0
    assert shown.out.splitlines() == [
        "Revision       Path        acc  n.k",
        "workspace      m.json      0.5    3",
        "main,first,v1  m.json  0.12346    -",
    ]
    assert shown.err.startswith("warning: broken:dvc.yaml:1: ")


def test_the_json_of_revisions_has_their_errors_too(revised):
    document = json.loads(make.done(revised, "metrics", "show", "-a", "--json"))
    assert set(document) == {"workspace", "main", "broken"}
    assert document["main"] == {"data": {"m.json": {"data": {"acc": 0.123456789}}}}
    assert document["broken"]["error"]["type"] == "YAMLSyntaxError"


def test_the_workspace_is_left_out_where_the_branch_says_the_same(revised):
    make.commit(revised)
    assert set(json.loads(make.done(revised, "metrics", "show", "-a", "--json"))) == {
        "main", "broken",
    }  # fmt: skip
    make.git(revised, "checkout", "-q", "--detach")
    assert "workspace" in json.loads(make.done(revised, "metrics", "show", "-a", "--json"))


def test_all_commits_have_their_ids(revised):
    commits = make.git(revised, "rev-list", "--all").split()
    document = json.loads(make.done(revised, "metrics", "show", "-A", "--json"))
    assert set(document) == {"workspace", *commits}


def test_before_the_first_commit_there_is_the_workspace_only(project):
    make.write(project, {"dvc.yaml": "metrics: [m.json]", "m.json": '{"a": 1}'})
    assert set(json.loads(make.done(project, "metrics", "show", "-a", "--json"))) == {"workspace"}


def test_numbers_are_rounded_for_people_and_whole_for_programs(revised):
    assert "0.12 " in make.done(revised, "metrics", "diff", "--precision", "2")
    table = list(csv.reader(make.done(revised, "metrics", "diff", "--csv").splitlines()))
    assert table == [
        ["Path", "Metric", "HEAD", "workspace", "Change"],
        ["m.json", "acc", "0.123456789", "0.5", str(0.5 - 0.123456789)],
        ["m.json", "n.k", "", "3", ""],
    ]
    shown = make.done(revised, "metrics", "show", "--csv").splitlines()
    assert shown == ["Path,acc,n.k", "m.json,0.5,3"]


def test_parameters_are_shown_as_they_are_with_or_without_their_files(revised):
    make.write(revised, {"params.yaml": "lr: 0.25\nlayers: [1, 3]\n"})
    assert make.done(revised, "params", "diff", "--no-path").splitlines() == [
        "Param   HEAD         workspace",
        "layers  [1, 2]       [1, 3]",
        "lr      0.123456789  0.25",
    ]
    assert make.done(revised, "params", "diff", "--csv").splitlines()[2] == (
        "params.yaml,lr,0.123456789,0.25"
    )
    assert make.done(revised, "params", "diff", "--deps") == ""


def test_targets_are_relative_to_the_person_and_on_one_side_at_least(revised):
    make.write(revised, {"sub/loose.yaml": "a: 1\n"})
    document = json.loads(
        make.done(revised / "sub", "params", "diff", "--targets", "loose.yaml", "--json")
    )
    assert document == {"loose.yaml": {"a": {"old": None, "new": 1}}}
    document = json.loads(
        make.done(revised, "metrics", "diff", "--json", "--targets", "m.json", "sub/loose.yaml")
    )
    assert set(document) == {"m.json", "sub/loose.yaml"}


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (("metrics", "diff", "--targets", "n.json"), 255, "did you mean 'm.json'?"),
        (("params", "diff", "--targets", "parms.yaml"), 255, "did you mean 'params.yaml'?"),
        (("params", "diff", "--targets", "../x.yaml"), 2, "outside the project"),
        (("metrics", "show", "-a", "n.json"), 255, "did you mean 'm.json'?"),
        (("metrics", "show", "--md", "--csv"), 2, "choose one"),
        (("metrics", "show", "--precision", "-1"), 2, "-1"),
        (("metrics", "diff", "broken"), 255, "broken:dvc.yaml:1"),
        (("params", "diff", "HEAD", "nope"), 255, "git knows no revision 'nope'"),
    ],
)
def test_what_cannot_be_is_an_error_that_changes_nothing(revised, arguments, code, words):
    before = make.snapshot(revised)
    shown = make.assay(revised, *arguments)
    assert (shown.code, shown.out) == (code, ""), shown
    assert words in shown.err
    assert make.snapshot(revised) == before


def test_a_number_is_never_rounded_to_nothing():
    assert rounded(0.0) == "0.0"
    assert rounded(-1.23456e-9) == "-1.2346e-09"
    assert rounded(1e-9, 0) == "1e-09"
    assert rounded(float("nan")) == "nan"
    assert rounded(123456.789) == "123456.789"
    assert rounded(True) == "True"


def test_metrics_parameters_and_the_graph_load_no_table_and_no_database(revised):
    code = (
        "import os, sys\nfrom assay.cli import run\n"
        f"os.chdir({str(revised)!r})\n"
        "for command in ('metrics show', 'metrics diff', 'params diff', 'dag'):\n"
        "    run(command.split())\n"
        "print(*{name.partition('.')[0] for name in sys.modules})"
    )
    make.write(revised, {"dvc.yaml": "metrics: [m.json]\nstages: {a: {cmd: x, outs: [o]}}\n"})
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded = {*done.stdout.splitlines()[-1].split()}
    assert "assay" in loaded
    assert not loaded & {"numpy", "duckdb", "sqlalchemy", "jinja2", "asyncio", "scipy"}
