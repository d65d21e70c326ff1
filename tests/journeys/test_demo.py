"""`make demo` does the main job, and its page of results is right in a browser."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests import make
from tests.browser import SCHEMES, WIDTHS, Visit

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
        "6 files pushed",
        "identical to the bit",
        "is tracked by data/2011.csv.dvc",
        "What to look at next",
    ):
        assert words in printed


def test_the_model_beats_last_week(demo):
    folder, _ = demo
    metrics = json.loads((folder / "bikes" / "metrics.json").read_text())
    assert metrics["mae"] < 0.8 * metrics["baseline_mae"]


def test_the_clone_has_the_same_bytes(demo):
    folder, _ = demo
    for name in ("model.skops", "work/features.parquet", "plots/daily.csv", "dvc.lock"):
        assert (folder / "colleague" / name).read_bytes() == (folder / "bikes" / name).read_bytes()


def test_every_tracked_or_produced_table_has_one_profile(demo):
    folder, _ = demo
    shown = json.loads(make.done(folder / "bikes", "runs", "show", "latest~1", "--json"))
    outputs = {o["path"]: o["profile"] for c in shown["children"] for o in c["outputs"]}
    tables = [path for path in outputs if path.endswith((".csv", ".parquet"))]
    assert len(tables) == 4
    assert all(outputs[path].startswith("sha256:") for path in tables)
    assert outputs["model.skops"] is None


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
        assert visit.page.get_by_role("heading", level=1).inner_text().startswith("Bikes")
