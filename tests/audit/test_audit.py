"""All twelve factors hold for a project that went the whole way, each by its own evidence."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.audit.audit import Audit, audit
from assay.audit.factors import NAMES
from assay.base.clock import now_ms
from tests import make
from tests.audit import built, removing
from tests.audit.removing import Spoil


def audited(root: Path) -> Audit:
    return audit(built.project(root), now_ms=now_ms())


def fallen(found: Audit) -> set[int]:
    return {factor.number for factor in found.factors if not factor.holds}


def test_all_twelve_hold_for_a_project_that_went_the_whole_way(template: Path):
    found = audited(template)

    assert {one.number: one.evidence for one in found.factors if not one.holds} == {}
    assert found.n_holds == 12
    assert [one.name for one in found.factors] == [NAMES[number] for number in range(1, 13)]
    assert (found.endpoint, found.version) == ("rides", "rides/2")
    assert not [one for one in found.factors if one.next_step is not None]


REMOVED: dict[str, tuple[int, Spoil, set[int]]] = {
    "no branch has the commit": (1, removing.no_branch, set()),
    "an input is not tracked": (1, removing.other_input, set()),
    "the code was not kept": (1, removing.lost_code, set()),
    "no schema has a column": (2, removing.declared("last: {type", "lost: {type"), set()),
    "nothing validates": (2, removing.plan(removing.without_validate), {5}),
    "no parameter": (3, removing.no_parameter, set()),
    "other code, and nothing else": (3, removing.other_code, set()),
    "never done again": (4, removing.never_reproduced, set()),
    "done again otherwise": (4, removing.reproduced_otherwise, set()),
    "no results of tests named": (5, removing.declared("tests: {junit: tests.xml}", ""), set()),
    "the results are not in git": (5, removing.declared("tests.xml", "none.xml"), set()),
    "a test failed": (5, removing.declared("tests.xml", "failed.xml"), set()),
    "the code changed since the tests": (5, removing.declared("tests.xml", "old.xml"), set()),
    "the run had code of its own": (5, removing.edited_code, set()),
    "the data were not valid": (5, removing.plan(removing.not_valid), set()),
    "the bundle was not proved": (5, removing.unproved, {9}),
    "no monitor": (6, removing.declared("monitor: {window: 7d}", ""), set()),
    "no window": (6, removing.no_window, {11}),
    "an old window": (6, removing.old_window, set()),
    "no trigger": (6, removing.declared("retrain: {on: [drift], every: 28d}", ""), set()),
    "a trigger that waits for nothing": (
        6, removing.declared("on: [drift], every: 28d", "on: [performance, data]"), set(),
    ),
    "entered by hand": (7, removing.registered_by_hand, set()),
    "made by no run": (7, removing.made_elsewhere, set()),
    "no profile on record": (8, removing.no_profile, set()),
    "the profile is gone": (8, removing.lost_profile, set()),
    "no start on record": (9, removing.no_start, set()),
    "the last start failed": (9, removing.failed_start, set()),
    "other features than a later run's": (9, removing.skewed, set()),
    "nothing was logged": (9, removing.no_traffic, {6}),
    "never compared": (10, removing.not_compared, set()),
    "compared with another": (10, removing.compared_with_another, set()),
    "no inputs watched": (11, removing.window_without("columns"), set()),
    "no outputs watched": (11, removing.window_without("prediction"), set()),
    "no counts": (11, removing.window_without("serving", "n_requests"), set()),
    "no latency": (11, removing.window_without("serving", "latency"), set()),
    "no CPU": (11, removing.window_without("serving", "servers", "0", "cpu_seconds"), set()),
    "no memory": (11, removing.window_without("serving", "servers", "0", "memory"), set()),
    "a damaged bundle": (12, removing.damaged_bundle, set()),
    "a training without a bundle": (12, removing.no_bundle, {7}),
}  # fmt: skip
"""What is removed: the factor whose evidence it was, how, and what falls with it."""


@pytest.mark.parametrize("name", REMOVED)
def test_a_factor_falls_with_its_evidence_and_says_what_to_type(root: Path, name: str):
    number, spoil, others = REMOVED[name]
    spoil(root)

    found = audited(root)

    assert fallen(found) == {number} | others
    factor = found.factors[number - 1]
    assert factor.verdict in {"fails", "unknown"}
    assert factor.next_step


def test_every_factor_has_its_evidence_removed_at_least_once():
    assert {number for number, _, _ in REMOVED.values()} == set(NAMES)


def test_a_lock_that_git_does_not_have_is_no_other_code(root: Path):
    make.git(root, "rm", "-q", "--cached", "metrics.json", "evaluate.py")
    make.commit(root, "evaluate.py is there, and not in git")
    make.git(root, "rm", "-q", "--cached", "dvc.lock")
    for _ in range(2):
        make.done(root, "repro", "evaluate", "--single-item", "--force")
        make.git(root, "add", "metrics.json")
    make.git(root, "rm", "-q", "--cached", "metrics.json")

    assert 3 not in fallen(audited(root))


@pytest.mark.parametrize(
    ("arguments", "code"),
    [((), 0), (("--min", "12"), 0), (("rides", "--min", "11"), 0), (("--json", "--md"), 2)],
)
def test_the_command_ends_as_it_is_asked_to(template: Path, arguments: tuple[str, ...], code: int):
    assert make.assay(template, "audit", *arguments).code == code


def test_the_command_says_no_where_fewer_hold_than_asked(root: Path):
    removing.never_reproduced(root)

    shown = make.assay(root, "audit", "--min", "12")

    assert shown.code == 1
    assert shown.out.startswith("11 of 12 factors hold for 'rides', rides/2, ")
    run = removing.training(root).parent or ""
    assert f" 4  reproducible             ?    run {run[:13]} was never done again" in shown.out
    assert shown.out.endswith(f"next:\n4  assay reproduce {run[:13]}\n")


def test_json_and_markdown_have_the_same_verdicts(root: Path):
    removing.never_reproduced(root)

    document = json.loads(make.done(root, "audit", "--json"))
    lines = make.done(root, "audit", "--md").splitlines()

    assert document["n_holds"] == 11
    assert [one["verdict"] for one in document["factors"]].count("holds") == 11
    assert lines[2].startswith("|")
    assert sum("| yes " in line for line in lines) == 11
    assert f"assay reproduce {document['run'][:13]}" in lines[3 + 4]


def test_an_endpoint_that_never_was_is_an_error(template: Path):
    shown = make.assay(template, "audit", "ride")

    assert shown.code == 255
    assert "nothing was ever deployed to 'ride'" in shown.err
    assert "did you mean 'rides'?" in shown.err


def test_an_audit_writes_nothing(root: Path):
    before = make.snapshot(root, without=())
    project = built.project(root)

    audit(project, now_ms=now_ms())

    project.index.close()  # which hashes are known is a cache; SQLite clears its log on closing
    after = make.snapshot(root, without=())
    assert {path for path in after if after[path] != before.get(path)} <= {".assay/index.db"}


def test_a_new_project_has_no_factor_and_a_next_step_for_each(tmp_path: Path):
    root = make.project(tmp_path / "new")

    found = audited(root)

    assert found.n_holds == 0
    assert all(one.next_step and one.evidence for one in found.factors)
    assert not (root / ".assay" / "ledger.db").exists()
