"""`make demo` does the main job, and its page of results is right in a browser."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import duckdb
import numpy as np
import pytest

from assay.bundle import load as bundle
from assay.traffic import feedback, log
from tests import make
from tests.browser import SCHEMES, WIDTHS, Visit

N_HOURS = 8734  # that the data have of 2012
DEMO = Path(__file__).parents[2] / "examples" / "bikes" / "demo.py"


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    """The folder that a whole demo leaves behind, and what it printed."""
    folder = tmp_path_factory.mktemp("demo")
    done = subprocess.run(
        [sys.executable, DEMO, folder], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder, done.stdout


def test_the_demo_says_what_it_promises(demo):
    _, printed = demo
    for words in (
        "Data and pipelines are up to date.",
        "Nothing had to run.",
        "0 problems",
        "files and 2 runs pushed",
        "identical to the bit",
        "is tracked by data/rentals.csv.dvc",
        "gate: pass: better than the baseline",
        "'bikes' goes to bikes/1",
        "gate: fail: mae: worse by more than the margin",
        "the gate refused bikes/2",
        "deployed as bikes/3 (not worse than the base)",
        "inconclusive, production stays",
        "of 12 factors hold for 'bikes'",
        "What to look at next",
    ):
        assert words in printed


def test_the_model_beats_last_week(demo):
    folder, _ = demo
    metrics = json.loads((folder / "bikes" / "metrics.json").read_text())
    assert metrics["mae"] < 0.8 * metrics["baseline_mae"]


def test_the_clone_has_the_same_bytes(demo):
    folder, _ = demo
    for name in ("bundle/bundle.json", "work/features.parquet", "plots/daily.csv", "dvc.lock"):
        assert (folder / "colleague" / name).read_bytes() == (folder / "bikes" / name).read_bytes()


def test_every_tracked_or_produced_table_has_one_profile(demo):
    folder, _ = demo
    first = first_run(folder / "bikes")
    shown = json.loads(make.done(folder / "bikes", "runs", "show", first, "--json"))
    outputs = {o["path"]: o["profile"] for c in shown["children"] for o in c["outputs"]}
    tables = [path for path in outputs if path.endswith((".csv", ".parquet"))]
    assert len(tables) == 6
    assert all(outputs[path].startswith("sha256:") for path in tables)
    assert outputs["bundle"] is None


def first_run(project: Path) -> str:
    """The id of the first pipeline run."""
    listed = json.loads(make.done(project, "runs", "list", "--json"))
    first: str = [one["id"] for one in listed if one["kind"] == "pipeline"][-1]
    return first


def test_a_worse_model_never_answered(demo):
    folder, _ = demo
    candidate = json.loads(
        make.done(folder / "bikes", "model", "show", "bikes@candidate", "--json")
    )
    deployed = json.loads(make.done(folder / "bikes", "deployments", "list", "--json"))
    assert candidate["version"]["number"] == 2
    assert 2 not in {one["version"] for one in deployed}


def test_the_loop_replaced_the_model_where_the_gate_let_it_and_only_there(demo):
    folder, _ = demo
    decided = json.loads(
        make.done(folder / "bikes", "decisions", "list", "--json", "--limit", "100")
    )
    deployed = json.loads(make.done(folder / "bikes", "deployments", "list", "--json"))
    assert {one["state"] for one in decided} == {"finished"}
    assert {one["outcome"] for one in decided} >= {"deployed", "inconclusive"}
    assert {one["outcome"] for one in decided} <= {"deployed", "inconclusive", "refused"}
    passed = [one["deployment"] for one in decided if one["verdict"] == "pass"]
    assert passed == [one["id"] for one in deployed if one["version"] > 1]


def test_the_bundle_in_production_proves_itself_and_the_first_is_still_that_of_its_run(demo):
    folder, _ = demo
    first = json.loads(make.done(folder / "bikes", "model", "show", "bikes@1", "--json"))
    verified = make.assay(folder / "bikes", "bundle", "verify", "bikes@production")
    assert verified.code == 0, verified
    assert bundle.load(folder / "bikes" / "bundle").id == first["version"]["bundle"]


def test_the_loop_is_closer_than_the_first_model_and_both_than_last_week(demo):
    folder, _ = demo
    said = re.search(r"off by (\d+).*left alone, by (\d+).*value by (\d+)", page_text(folder))
    assert said is not None
    loop, alone, last_week = map(int, said.groups())
    assert loop < 0.9 * alone
    assert alone < last_week


def page_text(folder: Path) -> str:
    """The page of results as one line."""
    return " ".join((folder / "results.html").read_text().split())


def test_requests_had_the_features_that_the_training_stage_makes_row_by_row(demo, tmp_path):
    folder, _ = demo
    project = folder / "bikes"
    for command in ([project / "prepare.py", DEMO.parent / "data" / "bikes.csv"],
                    [project / "features.py"]):  # fmt: skip
        subprocess.run([sys.executable, *command], cwd=tmp_path, check=True, capture_output=True)
    with log.read(project / ".assay" / "traffic", endpoint="bikes") as logged:
        names = [c.name for c in logged.columns if c.name.startswith("input.")]
        names.remove("input.timestamp")
        asked = columns(logged.arrays("input.timestamp", *names))
    made = columns(
        duckdb.read_parquet(str(tmp_path / "work" / "features.parquet"))
        .filter("timestamp >= '2012-01-01'")
        .fetchnumpy()
    )

    assert len(asked["input.timestamp"]) == N_HOURS
    order = np.argsort(asked["input.timestamp"])
    times = asked["input.timestamp"][order].astype("datetime64[us]")
    np.testing.assert_array_equal(times, made["timestamp"])
    assert {name.removeprefix("input.") for name in names} == set(made) - {"timestamp", "cnt"}
    for name in names:
        np.testing.assert_array_equal(asked[name][order], made[name.removeprefix("input.")], name)


def columns(table: dict[str, Any]) -> dict[str, Any]:
    """A table with NaN for what is missing."""
    return {
        name: np.ma.filled(column.astype(float), np.nan) if np.ma.is_masked(column) else column
        for name, column in table.items()
    }


def test_every_prediction_got_its_truth(demo):
    folder, _ = demo
    counts = feedback.counts(folder / "bikes" / ".assay" / "traffic")
    assert (counts.n_truths, counts.n_rows) == (N_HOURS, N_HOURS)
    assert (counts.n_unknown, counts.n_ambiguous, counts.n_corrected) == (0, 0, 0)


@pytest.mark.browser
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("wide", WIDTHS)
def test_the_page_of_results_is_whole_and_asks_nobody(demo, browser, wide, scheme):
    folder, _ = demo
    page = folder / "results.html"
    with Visit(browser, page, wide=wide, scheme=scheme) as visit:
        assert visit.errors == []
        assert visit.requests == [page.as_uri()]
        assert not visit.overflows
        assert visit.page.locator("svg.marks").count() == 2
        assert visit.page.get_by_text("identical to the bit").is_visible()
        assert visit.page.get_by_text("Pass: better than the baseline").is_visible()
        assert visit.page.get_by_text("Fail: mae: worse by more than the margin").is_visible()
        assert visit.page.get_by_role("heading", level=1).inner_text().startswith("Bikes")
