"""What is looked at beside the ledger: patches, results of tests, the stages before a stage."""

from __future__ import annotations

from pathlib import Path

import pytest

from assay.audit import difference, junit, steps
from assay.base.errors import Error
from assay.pipeline.record import Plan, Step
from assay.project import git
from assay.project.lock import Entry
from assay.project.stages import Row
from tests import make
from tests.audit import built


def step(name: str, *, deps: str = "", outs: str = "", cmd: str = "", wdir: str = ".") -> Step:
    rows = [tuple(Row(path=path, oid="0" * 32) for path in text.split()) for text in (deps, outs)]
    entry = Entry(cmd=cmd, deps=rows[0], outs=rows[1], params={"params.yaml": {"depth": 3}})
    return Step(address=name, name=name, state="ran", wdir=wdir, entry=entry)


PLAN = Plan(
    steps=(
        step("validate", deps="raw.csv", outs="verdict.json", cmd="cd x && assay -q validate raw"),
        step("split", deps="raw.csv verdict.json", outs="parts"),
        step("train", deps="parts/train.csv", outs="../model", wdir="work"),
        step("other", deps="raw.csv", outs="table.csv"),
    )
)


def test_the_stages_before_another_are_those_whose_outputs_it_needs():
    plan = Plan(steps=(*PLAN.steps[:2], step("train", deps="parts/train.csv", outs="model")))

    assert [one.address for one in steps.before(plan, "train")] == ["validate", "split"]
    assert steps.before(plan, "validate") == []
    assert steps.before(plan, "nothing") == steps.before(plan, None) == []


@pytest.mark.parametrize(
    ("cmd", "expected"),
    [
        ("assay validate rentals", True),
        ("python -m assay validate", True),
        (["mkdir -p work", "assay --cd x validate a b --out c"], True),
        ("assay repro && echo validate", False),
        ("python validate.py", False),
    ],
)
def test_a_stage_validates_where_its_command_runs_assay_validate(cmd, expected):
    one = Step(address="v", name="v", state="ran", wdir=".", entry=Entry(cmd=cmd))
    assert steps.validates(one) is expected


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("sub/train.py", True),
        ("README.md", True),
        ("sub/raw.csv.dvc", False),
        ("sub/dvc.lock", False),
        ("sub/dvc.yaml", True),
        ("sub/.gitignore", False),
        ("sub/assay.yaml", False),
        ("sub/params.yaml", False),
        ("sub/work/params.yaml", False),
        ("sub/parts/train.csv", False),
        ("sub/parts.py", True),
        ("sub/model", False),
        ("sub/tests.xml", False),
    ],
)
def test_code_is_what_no_tool_and_no_stage_writes_and_no_parameter(path, expected):
    is_code = difference.is_code_of(PLAN, prefix="sub/", besides=["tests.xml", None])
    assert is_code(path) is expected


def test_a_patch_is_told_apart_by_file_and_by_content():
    one = b"diff --git a/x y.py b/x y.py\n+1\n"
    two = b"diff --git a/x y.py b/x y.py\n+2\n"
    renamed = b"diff --git a/old.py b/new.py\n"

    changed = [difference.changed(patch, lambda _: True) for patch in (one, two, one + renamed)]

    assert changed[0] != changed[1]
    assert list(changed[2]) == ["x y.py", "a/old.py b/new.py"]
    assert changed[2]["x y.py"] == changed[0]["x y.py"]
    assert difference.changed(b"", lambda _: True) == {}


def test_a_file_with_an_odd_name_is_known_by_that_name_in_a_patch(tmp_path: Path):
    """As git writes it: with its bytes above ASCII and its quotes written as numbers."""
    root = make.repository(tmp_path / "project")
    names = ("café.dvc", "café.py", 'quo"te.dvc', "my b.dvc", "plain.py")
    make.write(root, dict.fromkeys(names, "1\n"))
    make.commit(root)
    make.write(root, dict.fromkeys(names, "2\n"))
    patch = git.snapshot(root).patch
    assert patch is not None
    assert b"caf\\303\\251.dvc" in patch
    found = difference.changed(patch, lambda path: not path.endswith(".dvc"))
    assert {*found} == {"café.py", "plain.py"}


def test_results_of_tests_are_counted():
    assert junit.parse(built.PASSED.encode(), where="x").n_failed == 0
    assert junit.parse(built.FAILED.encode(), where="x").n_failed == 1
    skipped = (
        b"<testsuite><testcase><skipped/></testcase><testcase><error/></testcase></testsuite>"
    )
    found = junit.parse(skipped, where="x")
    assert (found.n_tests, found.n_failed, found.n_skipped) == (2, 1, 1)


@pytest.mark.parametrize(
    "content", [b"", b"no", b"<html></html>", b"<testsuite>", b"\xff\xfe\x00"]
)
def test_what_is_no_junit_file_is_an_error_that_says_where(content):
    with pytest.raises(Error, match="this is not a JUnit file") as found:
        junit.parse(content, where="tests.xml at abc")
    assert found.value.where == "tests.xml at abc"
