"""What a loop is given that cannot be, and what happens around it: production stays as it was."""

from __future__ import annotations

import contextlib
import re
import resource
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import msgspec
import pytest

from assay.base.errors import Error, NotFound
from assay.ledger import alerts, decisions, deployments
from assay.ledger.decisions import Decision
from assay.loop import loop as loops
from assay.project import git
from assay.project.workspace import Project
from tests import make
from tests.loop import test_growth
from tests.loop.offers import DECLARED, Offers

DONE = {"deployed", "refused", "inconclusive"}


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Offers:
    """An endpoint with four weeks of traffic; what a retraining trains is in the run cache."""
    folder = tmp_path_factory.mktemp("ready")
    world = Offers(folder / "project", seed=5)
    world.days(28)
    trained = world.copied(folder / "trained")
    hand(trained)
    shutil.copytree(trained.root / ".dvc/cache", world.root / ".dvc/cache", dirs_exist_ok=True)
    return world


@pytest.fixture
def declaring(ready: Offers, tmp_path: Path) -> Callable[..., Offers]:
    """Gives a copy of that endpoint, with parts of its declaration replaced, committed."""
    number = count()

    def copy(*changes: tuple[str, str]) -> Offers:
        text = DECLARED
        for old, new in changes:
            assert old in text
            text = text.replace(old, new)
        files = {"assay.yaml": text} if changes else None
        return ready.copied(tmp_path / f"copy-{next(number)}", files)

    return copy


def hand(world: Offers, *, tell: Callable[[Mapping[str, Any]], object] | None = None) -> Decision:
    loop = world.loop if tell is None else msgspec.structs.replace(world.loop, tell=tell)
    return loops.go_on(loop, loops.by_hand(loop, reason=None))


def expect_first_version(world: Offers) -> None:
    (only,) = deployments.list_deployments(world.ledger, "offers")
    assert (only.version, only.end) == (1, None)


@pytest.mark.parametrize(
    ("change", "unknown", "near"),
    [
        (("window: 1d", "windw: 1d"), "windw", "window"),
        (("tolerance:", "tolerence:"), "tolerence", "tolerance"),
        (("at_most_every:", "at_most_evry:"), "at_most_evry", "at_most_every"),
        (("source: traffic", "sauce: traffic"), "sauce", "source"),
    ],
)
def test_an_unknown_key_is_told_with_its_line_and_the_nearest_name(
    declaring: Callable[..., Offers], change: tuple[str, str], unknown: str, near: str
):
    world = declaring(change)
    lines = (world.root / "assay.yaml").read_text().splitlines()
    line = next(at for at, text in enumerate(lines, start=1) if unknown in text)
    for arguments in (("check",), ("loop", "--once")):
        said = make.assay(world.root, *arguments)
        assert said.code == 255
        assert re.search(rf"assay\.yaml( at [0-9a-f]{{12}})?:{line}: ", said.err)
        assert f"'{unknown}'" in said.err
        assert f"did you mean '{near}'?" in said.err
    expect_first_version(world)


HOLD_OUT = "  hold_out: 14d"
IMPOSSIBLE = [
    (("window: 1d", "window: 36h"), "a window of '36h' is not a number of whole days"),
    (("metric: accuracy", "metric: auc"), "not a mean over rows"),
    ((HOLD_OUT, f"  cron: '61 * * * *'\n{HOLD_OUT}"), "61"),
    ((HOLD_OUT, f"  cron: '0 4 * * *'\n  time_zone: Mars/Base\n{HOLD_OUT}"), "Mars/Base"),
]
CANNOT_GROW = [
    (
        (HOLD_OUT, f"  params: {{hold_out_dayz: 14}}\n{HOLD_OUT}"),
        "'params.yaml' has no parameter 'hold_out_dayz'",
    ),
    (("table: offers\n    source", "table: test\n    source"), "is made by stage 'train'"),
]


@pytest.mark.parametrize(("change", "what"), [*IMPOSSIBLE, *CANNOT_GROW])
def test_what_cannot_run_is_found_by_check(
    declaring: Callable[..., Offers], change: tuple[str, str], what: str
):
    said = make.assay(declaring(change).root, "check")
    assert said.code == 1
    assert what in said.out


@pytest.mark.parametrize(("change", "what"), IMPOSSIBLE)
def test_what_cannot_run_ends_the_pass_and_retrains_nothing(
    declaring: Callable[..., Offers], change: tuple[str, str], what: str
):
    world = declaring(change)
    said = make.assay(world.root, "loop", "--once")
    assert said.code in {2, 255}
    assert what in said.err
    assert "hint: " in said.err
    assert decisions.list_decisions(world.ledger, "offers") == []
    expect_first_version(world)


@pytest.mark.parametrize(("change", "what"), CANNOT_GROW)
def test_a_retraining_that_cannot_begin_fails_alerts_and_production_stays(
    declaring: Callable[..., Offers], change: tuple[str, str], what: str
):
    world = declaring(change)
    said = make.assay(world.root, "retrain")
    assert said.code == 255
    assert what in said.out
    (decision,) = decisions.list_decisions(world.ledger, "offers")
    assert (decision.state, decision.outcome) == ("finished", "failed")
    (alert,) = alerts.list_alerts(world.ledger, "offers")
    assert (alert.monitor, alert.severity) == ("retraining", "error")
    assert what in alert.message
    warnings = [one for one in said.out.splitlines() if one.startswith("  warning: ")]
    assert [one for one in warnings if "assay.yaml: retrain." in one and what in one]
    expect_first_version(world)


@pytest.mark.parametrize(
    "does",
    [
        ["checkout -q -b other", "branch -q -D main"],
        ["commit -q --allow-empty -m more"],
        ["checkout -q --detach"],
        ["checkout -q --orphan empty", "rm -rfq --cached ."],
    ],
    ids=["deletes the branch", "moves the branch", "detaches HEAD", "begins anew"],
)
def test_what_a_person_does_with_the_branch_meanwhile_harms_neither(
    declaring: Callable[..., Offers], does: list[str]
):
    world = declaring()
    source, seen = git.resolve(world.root, "main"), []

    def tell(event: Mapping[str, Any]) -> None:
        if event["event"] == "note" and "new rows" in event["message"]:
            for command in does:
                make.git(world.root, *command.split())
            seen.append(person(world))

    done = hand(world, tell=tell)
    assert done.outcome in DONE, done.reason
    assert seen == [person(world)]
    assert source in make.git(world.root, "rev-list", done.commit or "").split()
    world.days(1)
    if "branch -q -D main" in does:
        with pytest.raises(NotFound, match="git knows no revision 'main'"):
            world.one_pass()
    else:
        assert not world.one_pass().decisions


def person(world: Offers) -> tuple[str, str, Any]:
    """Return what a person sees of the repository."""
    head = (world.root / ".git/HEAD").read_text()
    branches = make.git(world.root, "for-each-ref", "refs/heads/main", "refs/heads/other")
    status = make.git(world.root, "status", "--porcelain")
    return head + branches, status, make.snapshot(world.root, without=(".git", ".assay", ".dvc"))


def test_a_declaration_that_is_not_committed_is_not_read_and_that_is_said(
    declaring: Callable[..., Offers],
):
    world = declaring()
    text = DECLARED.replace("window: 1d", "window: 28d")
    make.write(world.root, {"assay.yaml": text})
    said = make.assay(world.root, "loop", "--once")
    assert said.code == 0
    assert "assay.yaml here is not the one on 'main': the loop reads what is committed" in said.out
    assert said.out.count("150 rows") == 27  # windows of a day
    make.commit(world.root)
    assert "is not the one on" not in make.done(world.root, "loop", "--once")


def test_a_declaration_that_somebody_is_editing_does_not_stop_the_loop(
    declaring: Callable[..., Offers],
):
    world = declaring()
    make.write(world.root, {"assay.yaml": "monitor: [\n"})
    assert make.done(world.root, "loop", "--once").count("150 rows") == 27


def test_an_endpoint_that_never_was_is_told_with_the_nearest(declaring: Callable[..., Offers]):
    for command in (["loop", "--once"], ["retrain"]):
        said = make.assay(declaring().root, *command, "ofers")
        assert said.code == 255
        assert "nothing was ever deployed to 'ofers'" in said.err
        assert "did you mean 'offers'?" in said.err


def test_without_a_branch_the_loop_asks_for_its_name(declaring: Callable[..., Offers]):
    world = declaring()
    make.git(world.root, "checkout", "-q", "--detach")
    said = make.assay(world.root, "loop", "--once")
    assert said.code == 2
    assert "no branch is checked out" in said.err
    assert "hint: check one out, or name it" in said.err
    assert make.assay(world.root, "loop", "--once", "--branch", "main").code == 0
    unknown = make.assay(world.root, "loop", "--once", "--branch", "mian")
    assert unknown.code == 255
    assert "git knows no revision 'mian'" in unknown.err


def test_a_full_disk_while_the_table_grows_leaves_nothing_half(declaring: Callable[..., Offers]):
    """RLIMIT_FSIZE stands for the full disk: no file may grow beyond it."""
    world = declaring()
    table = (world.root / "offers.csv").read_bytes()
    most = len(table) + 1000

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (most, most))

    said = make.process(world.root, "retrain", preexec_fn=small_files)
    assert said.code == 255, said
    assert "Traceback" not in said.err
    (decision,) = decisions.list_decisions(world.ledger, "offers")
    assert (decision.outcome, decision.commit) == ("failed", None)
    assert "file too large" in (decision.reason or "").lower()
    tree = world.root / ".assay/worktrees/loop-offers"
    assert (tree / "offers.csv").read_bytes() == table
    assert make.git(tree, "status", "--porcelain") == ""
    expect_first_version(world)
    world.days(1)
    done = hand(world)
    assert done.outcome in DONE, done.reason
    assert done.details["grown"]["n_rows"] == 29 * world.n


def test_a_full_disk_leaves_a_parquet_table_as_it_was(tmp_path: Path):
    root = make.write(make.project(tmp_path / "project"), {"assay.yaml": test_growth.DECLARED})
    path = test_growth.parquet(
        root / "data/t.parquet",
        "SELECT TIMESTAMP '2011-01-01' + to_hours(i::INT) AS day, i::INT AS hour,"
        " md5(i::VARCHAR) AS sky, 16::INTEGER AS cnt FROM range(20000) t(i)",
    )
    project = Project(root)
    text = test_growth.DECLARED.replace("rentals.csv", "t.parquet")
    test_growth.ask(project.traffic_dir, test_growth.START + test_growth.DAY)
    before = make.snapshot(root)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size - 1000, hard))
    try:
        with pytest.raises(Error, match=r"(?i)file too large"):
            test_growth.grow(project, text)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert make.snapshot(root) == before
    assert test_growth.grow(project, text).n_rows == 1


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), ZeroDivisionError()])
def test_an_error_that_nobody_thought_of_ends_the_decision_and_alerts(
    declaring: Callable[..., Offers], error: Exception
):
    world = declaring()

    def tell(event: Mapping[str, Any]) -> None:
        if event["event"] == "note":
            raise error

    with contextlib.suppress(ZeroDivisionError):
        hand(world, tell=tell)
    (decision,) = decisions.list_decisions(world.ledger, "offers")
    assert (decision.state, decision.outcome) == ("finished", "failed")
    assert [one.severity for one in alerts.list_alerts(world.ledger, "offers")] == ["error"]
    expect_first_version(world)


def test_a_ledger_that_is_locked_for_seconds_is_waited_for(declaring: Callable[..., Offers]):
    world = declaring()
    path = world.root / ".assay/ledger.db"
    with contextlib.closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with subprocess.Popen(
            make.command("retrain"), cwd=world.root, stdout=subprocess.PIPE, text=True
        ) as process:
            with pytest.raises(subprocess.TimeoutExpired):
                process.wait(4)
            other.execute("COMMIT")
            process.communicate()
    (decision,) = decisions.list_decisions(world.ledger, "offers")
    assert decision.outcome in DONE, decision.reason
