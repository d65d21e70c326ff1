"""The loop on a second table: it replaces a model that has grown old, and nothing else."""

from __future__ import annotations

import functools
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path

import pytest

from assay.base.errors import Negative
from assay.bundle import contents, reference
from assay.ledger import alerts, decisions, deployments
from assay.ledger.database import open_ledger
from assay.loop.loop import by_hand, go_on, only_loop
from assay.project import git
from tests import make, stages
from tests.kill import kill_repeatedly
from tests.loop.offers import DAY, DECLARED, N_HISTORY, TRAIN, Offers

CHANGE = N_HISTORY + 21


def weeks(world: Offers, n: int, *, until: str | None = None) -> None:
    """Let weeks pass, each with a pass of the loop, until a decision has that outcome."""
    for _ in range(n):
        world.days(7)
        done = world.one_pass()
        if until is not None and any(one.outcome == until for one in done.decisions):
            return
    assert until is None, f"nothing was {until} in {n} weeks: {world.events}"


@pytest.fixture(scope="module")
def changed(tmp_path_factory: pytest.TempPathFactory) -> Offers:
    """An endpoint whose customers changed after three weeks, some time after the model did."""
    world = Offers(tmp_path_factory.mktemp("offers") / "project", seed=1, change=CHANGE)
    make.write(world.root, {"mine.txt": "not committed\n", "params.yaml": "broken: [\n"})
    world.before = make.snapshot(world.root, without=(".git", ".assay", ".dvc"))  # type: ignore[attr-defined]
    weeks(world, 16, until="deployed")
    return world


def test_a_change_of_customers_ends_in_a_new_version(changed: Offers):
    found = decisions.list_decisions(changed.ledger, "offers")
    newest = found[0]
    assert newest.outcome == "deployed"
    assert newest.trigger == "performance"
    assert newest.window_end >= changed_at(changed)
    assert [one.version for one in deployments.list_deployments(changed.ledger, "offers")] == [
        2,
        1,
    ]
    keys = [(one.trigger, one.window_end) for one in found]
    assert len(set(keys)) == len(keys)


def test_a_candidate_that_is_as_bad_does_not_replace_what_has_become_worse(changed: Offers):
    first = decisions.list_decisions(changed.ledger, "offers")[-1]
    assert (first.trigger, first.outcome) == ("performance", "inconclusive")
    assert "not shown to be better in accuracy" in (first.reason or "")


def test_the_alert_is_resolved_once_the_new_version_answers(changed: Offers):
    changed.days(7)
    changed.one_pass()
    found = alerts.list_alerts(changed.ledger, "offers")
    assert "performance" in {one.monitor for one in found}
    assert not [one.message for one in found if one.state == "open"]


def test_the_candidate_is_judged_on_rows_that_it_has_not_seen(changed: Offers):
    newest = decisions.list_decisions(changed.ledger, "offers")[0]
    bundle = contents.read_objects(
        changed.project.objects, (newest.candidate or "").removeprefix("sha256:")
    )
    known = reference.load(bundle.files["reference.json"], where="bundle")
    rows = newest.details["rows"]
    assert max(day or "" for day in known.days) < stamp(rows["first"])
    assert rows["last"] - rows["first"] > 13 * DAY
    assert rows["last"] < newest.window_end


def test_what_a_person_edits_meanwhile_is_untouched(changed: Offers):
    after = make.snapshot(changed.root, without=(".git", ".assay", ".dvc"))
    assert after == changed.before  # type: ignore[attr-defined]
    assert git.branch(changed.root) == "main"
    tip = git.resolve(changed.root, "assay/offers")
    assert make.git(changed.root, "rev-parse", "main").strip() in commits(changed.root, tip)
    run = decisions.list_decisions(changed.ledger, "offers")[0]
    assert run.commit in commits(changed.root, tip)


def test_the_version_in_production_is_reproduced_after_a_garbage_collection(changed: Offers):
    if not stages.DVC.exists():
        pytest.skip("the peer DVC is not installed")
    make.git(changed.root, "checkout", "-q", "params.yaml")
    stages.dvc(changed.root, "gc", "-w", "-f")
    newest = decisions.list_decisions(changed.ledger, "offers")[0]
    said = make.assay(changed.root, "reproduce", newest.run or "", "--json")
    assert json.loads(said.out)["sameness"] == "identical", said.err
    changed.days(28)
    again = go_on(changed.loop, by_hand(changed.loop, reason="after dvc gc"))
    assert again.outcome != "failed", again.reason
    parents = make.git(changed.root, "log", "-1", "--format=%P", again.commit or "").split()
    assert len(parents) == 2
    assert parents[1] == make.git(changed.root, "rev-parse", "main").strip()


def commits(folder: Path, tip: str) -> list[str]:
    return make.git(folder, "rev-list", tip).split()


def changed_at(world: Offers) -> int:
    """Return when the customers changed, in Unix milliseconds."""
    from tests.loop.offers import FIRST

    assert world.change is not None
    return int(FIRST.timestamp() * 1000) + world.change * DAY


def stamp(at: int) -> str:
    from assay.base.clock import iso

    return iso(at)[:10]


def year(folder: Path, seed: int) -> None:
    world = Offers(folder, seed=seed)
    weeks(world, 52)
    found = decisions.list_decisions(world.ledger, "offers")
    assert not [(one.trigger, one.details["why"]) for one in found]


def test_a_year_without_a_change_retrains_nothing(tmp_path: Path):
    year(tmp_path / "project", 11)


@pytest.mark.slow
@pytest.mark.parametrize("seed", [12, 13])
def test_two_more_years_without_a_change_retrain_nothing(tmp_path: Path, seed: int):
    year(tmp_path / "project", seed)


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> Offers:
    """An endpoint with four weeks of traffic and no retraining yet."""
    world = Offers(tmp_path_factory.mktemp("ready") / "project", seed=5)
    world.days(28)
    return world


@pytest.fixture
def fresh(ready: Offers, tmp_path: Path) -> Callable[..., Offers]:
    """Gives a copy of that endpoint, with other files if need be, committed."""
    number = count()

    def copy(**files: str) -> Offers:
        named = {name.replace("__", "."): text for name, text in files.items()}
        return ready.copied(tmp_path / f"copy-{next(number)}", named)

    return copy


def hand(world: Offers) -> decisions.Decision:
    return go_on(world.loop, by_hand(world.loop, reason=None))


def test_by_hand_once_and_the_same_rows_a_second_time_are_refused(fresh: Callable[..., Offers]):
    world = fresh()
    done = hand(world)
    assert done.outcome in {"deployed", "inconclusive", "refused"}
    assert done.details["grown"]["n_rows"] == 28 * world.n
    with pytest.raises(Negative, match="nothing new came"):
        by_hand(world.loop, reason=None)


def test_after_a_failure_that_was_mended_the_same_rows_may_be_tried_again(
    fresh: Callable[..., Offers],
):
    world = fresh(train__py="raise SystemExit('no memory')")
    assert hand(world).outcome == "failed"
    make.write(world.root, {"train.py": TRAIN})
    make.commit(world.root, "mended")
    assert hand(world).outcome in {"deployed", "inconclusive", "refused"}


def test_one_by_hand_that_was_cut_off_is_taken_up_again(fresh: Callable[..., Offers]):
    world = fresh()
    begun = by_hand(world.loop, reason="first")
    again = by_hand(world.loop, reason="second")
    assert (again.id, again.details["why"]) == (begun.id, "first")


@pytest.mark.parametrize(
    ("train", "limit", "why"),
    [
        ("raise SystemExit('no memory')", "2m", "no memory|exit status 1"),
        ("import time\ntime.sleep(600)", "2s", "took longer than 2s"),
        ("open('bundle', 'w').close(); open('test.parquet', 'w').close()", "2m", "no bundle"),
    ],
)
def test_a_retraining_that_fails_or_never_ends_leaves_production(
    fresh: Callable[..., Offers], train: str, limit: str, why: str
):
    declared = DECLARED.replace("limit: 2m", f"limit: {limit}")
    world = fresh(train__py=train, assay__yaml=declared)
    done = hand(world)
    assert done.outcome == "failed"
    import re

    assert re.search(why, f"{done.reason} {done.details.get('log')}")
    assert len(deployments.list_deployments(world.ledger)) == 1
    (alert,) = alerts.list_alerts(world.ledger, "offers", states={"open"})
    assert (alert.monitor, alert.severity) == ("retraining", "error")
    assert "production stays" in alert.message
    left = subprocess.run(["pgrep", "-f", f"{world.root}/.assay/work"], check=False)
    assert left.returncode != 0


def test_a_worse_candidate_is_refused(fresh: Callable[..., Offers]):
    worse = TRAIN.replace("model.fit(X, rows[", "model.fit(X[::-1], rows[")
    world = fresh(train__py=worse)
    done = hand(world)
    assert (done.outcome, done.verdict) == ("refused", "fail")
    assert len(deployments.list_deployments(world.ledger)) == 1


def test_a_candidate_that_saw_the_rows_to_judge_on_is_not_judged(fresh: Callable[..., Offers]):
    world = fresh(train__py=TRAIN.replace('"SELECT * FROM t WHERE time < $1", [cut]', '"FROM t"'))
    done = hand(world)
    assert done.outcome == "failed"
    assert "the candidate was trained on rows up to" in (done.reason or "")


def test_a_second_loop_is_refused(fresh: Callable[..., Offers]):
    world = fresh()
    with only_loop(world.project, "offers"):
        shown = subprocess.run(
            [sys.executable, "-m", "assay", "loop", "--once"],
            cwd=world.root, capture_output=True, text=True, check=False,
        )  # fmt: skip
    assert shown.returncode == 1
    assert "runs here already" in shown.stderr


def test_a_loop_with_nothing_to_do_says_so(fresh: Callable[..., Offers]):
    world = fresh()
    said = make.assay(world.root, "loop", "--once")
    assert said.code == 0
    again = make.assay(world.root, "loop", "--once")
    assert "nothing to retrain" in again.out


@pytest.fixture(scope="module")
def due(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project in which a retraining is due by its schedule."""
    declared = DECLARED.replace("  hold_out: 14d", "  every: 28d\n  hold_out: 14d")
    folder = tmp_path_factory.mktemp("due") / "project"
    world = Offers(folder, seed=5, declared=declared)
    world.days(29)  # the day after the 28th closes its window
    world.ledger.close()
    return folder


def kill_loop(template: Path, tmp_path: Path, n: int) -> None:
    """Kill the loop at moments drawn over a retraining; the next pass goes on where it was."""
    number = count()
    candidates = set()

    def copy() -> Path:
        target = tmp_path / f"killed-{next(number)}"
        shutil.copytree(template, target, symlinks=True)
        return target

    def inside(project: Path) -> bool:
        with open_ledger(project / ".assay/ledger.db") as ledger:
            found = decisions.list_decisions(ledger, "offers")
        return any(one.state == "started" for one in found)

    def check(project: Path) -> None:
        make.done(project, "loop", "--once")
        with open_ledger(project / ".assay/ledger.db") as ledger:
            (one,) = decisions.list_decisions(ledger, "offers")
            known = deployments.list_deployments(ledger, "offers")
        assert (one.trigger, one.state) == ("schedule", "finished")
        assert one.outcome in {"deployed", "inconclusive"}, one.reason
        assert len(known) == (2 if one.outcome == "deployed" else 1)
        candidates.add(one.candidate)
        runs = json.loads(make.done(project, "runs", "list", "--json"))
        assert "running" not in {run["status"] for run in runs}
        assert make.done(project, "decisions", "list")
        shutil.rmtree(project)

    command = [sys.executable, "-m", "assay", "loop", "--once"]
    kill_repeatedly(
        command, fresh=copy, inside=functools.partial(inside), check=check, count=n, seed=7
    )
    assert len(candidates) == 1


def test_a_killed_loop_loses_no_retraining_and_does_none_twice(due: Path, tmp_path: Path):
    kill_loop(due, tmp_path, 5)


@pytest.mark.slow
def test_a_loop_killed_fifty_times_loses_no_retraining(due: Path, tmp_path: Path):
    kill_loop(due, tmp_path, 50)
