"""A person looks at metrics, parameters and plots, and real DVC says the same."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests import make

ROOT = Path(__file__).parents[2]
DVC = ROOT / ".peers" / "dvc" / "bin" / "dvc"
METRICS = {"baseline_mae": 47.06, "mae": 32.626, "n_rows": 1339, "r2": 0.7759, "rmse": 53.666}


@pytest.fixture
def bikes(project: Path) -> Path:
    """The example, with results as its last stage writes them, committed."""
    for name in ("dvc.yaml", "params.yaml"):
        shutil.copy(ROOT / "examples" / "bikes" / name, project)
    days = "".join(f"2011-11-{day:02},{day}.5,{day}\n" for day in range(1, 31))
    hours = "".join(f"{hour},{hour % 7},{hour % 5}\n" for hour in range(24))
    make.write(
        project,
        {
            "metrics.json": json.dumps(METRICS),
            "plots/daily.csv": "day,actual,predicted\n" + days,
            "plots/by_hour.csv": "hour,mae,baseline_mae\n" + hours,
        },
    )
    make.commit(project)
    return project


def path_of(uri: str) -> Path:
    return Path(unquote(urlsplit(uri.strip()).path))


def test_metrics_are_shown_as_a_table_as_json_and_as_markdown(bikes):
    assert make.done(bikes, "metrics", "show") == (
        "Path          baseline_mae     mae  n_rows      r2    rmse\n"
        "metrics.json         47.06  32.626    1339  0.7759  53.666\n"
    )
    document = json.loads(make.done(bikes, "metrics", "show", "--json"))
    assert document == {"": {"data": {"metrics.json": {"data": METRICS}}}}
    assert make.done(bikes, "metrics", "show", "metrics.json", "--md") == (
        "| Path         | baseline_mae |    mae | n_rows |     r2 |   rmse |\n"
        "| ------------ | -----------: | -----: | -----: | -----: | -----: |\n"
        "| metrics.json |        47.06 | 32.626 |   1339 | 0.7759 | 53.666 |\n"
    )


def test_a_changed_metric_is_shown_with_its_change(bikes):
    make.write(bikes, {"metrics.json": json.dumps(METRICS | {"mae": 30.5, "slope": 2})})

    assert make.done(bikes, "metrics", "diff") == (
        "Path          Metric    HEAD  workspace  Change\n"
        "metrics.json  mae     32.626       30.5  -2.126\n"
        "metrics.json  slope        -          2       -\n"
    )
    make.commit(bikes)
    assert json.loads(make.done(bikes, "metrics", "diff", "--json")) == {}
    shown = make.assay(bikes, "metrics", "diff")
    assert (shown.out, shown.err) == ("", "no metric changed\n")
    assert "mae" in make.done(bikes, "metrics", "diff", "HEAD~1", "HEAD")
    assert "rmse" in make.done(bikes, "metrics", "diff", "--all")


def test_a_changed_parameter_is_shown_without_a_change(bikes):
    params = bikes / "params.yaml"
    params.write_text(params.read_text().replace("seed: 7", "seed: 8"))

    assert make.done(bikes, "params", "diff") == (
        "Path         Param  HEAD  workspace\nparams.yaml  seed      7          8\n"
    )
    assert json.loads(make.done(bikes, "params", "diff", "--json")) == {
        "params.yaml": {"seed": {"old": 7, "new": 8, "diff": 1}}
    }


def test_paths_are_relative_to_where_the_person_is(bikes):
    document = json.loads(make.done(bikes / "plots", "metrics", "show", "--json"))
    assert list(document[""]["data"]) == ["../metrics.json"]
    assert "../metrics.json" in make.done(bikes / "plots", "metrics", "show", "../metrics.json")


def test_a_broken_metrics_file_is_a_hint_and_the_others_are_shown(bikes):
    make.write(bikes, {"sub/dvc.yaml": "metrics: [bad.json, good.json]"})
    make.write(bikes, {"sub/bad.json": '{"a": ', "sub/good.json": '{"acc": 1}'})

    shown = make.assay(bikes, "metrics", "show")

    assert shown.code == 0
    assert "sub/good.json" in shown.out
    assert "sub/bad.json" not in shown.out
    assert shown.err.startswith("warning: sub/bad.json:1: ")


def test_wrong_names_are_errors_that_change_nothing(bikes):
    before = make.snapshot(bikes)
    for arguments, code, words in (
        (("metrics", "show", "metrcs.json"), 255, "did you mean 'metrics.json'?"),
        (("metrics", "diff", "nope"), 255, "git knows no revision 'nope'"),
        (("params", "diff", "--", "-x"), 255, "git knows no revision '-x'"),
        (("plots", "show", "plots/dayly.csv"), 255, "did you mean 'plots/daily.csv'?"),
        (("metrics", "show", "--json", "--md"), 2, "choose one"),
        (("metrics", "shw"), 2, "show"),
        (("plots", "diff", "HEAD", "nope"), 255, "git knows no revision 'nope'"),
    ):
        shown = make.assay(bikes, *arguments)
        assert (shown.code, shown.out) == (code, ""), arguments
        assert words in shown.err
    assert make.snapshot(bikes) == before


def test_a_project_without_results_says_where_to_declare_them(project):
    assert json.loads(make.done(project, "metrics", "show", "--json")) == {"": {"data": {}}}
    shown = make.assay(project, "metrics", "show")
    assert (shown.code, shown.out) == (0, "")
    assert "'metrics:' in dvc.yaml" in shown.err
    shown = make.assay(project, "plots", "show")
    assert shown.code == 255
    assert "'plots:' in dvc.yaml" in shown.err


def test_before_the_first_commit_there_is_nothing_to_compare_with(project):
    make.write(project, {"dvc.yaml": "metrics: [m.json]", "m.json": '{"a": 1}'})
    for command in ("metrics", "params"):
        shown = make.assay(project, command, "diff", "--json")
        assert (shown.code, json.loads(shown.out)) == (0, {})
        assert "no commit yet" in shown.err


def test_plots_become_one_page_that_asks_nobody(bikes):
    before = make.snapshot(bikes)

    path = path_of(make.done(bikes, "plots", "show"))

    assert path == bikes / "dvc_plots" / "index.html"
    page = path.read_text()
    assert "Rentals an hour, mean of each test day" in page
    assert "Mean absolute error by hour of the day" in page
    assert "src=" not in page.split("<script")[0]
    after = make.snapshot(bikes)
    assert set(after) - set(before) == {
        "dvc_plots",
        "dvc_plots/.gitignore",
        "dvc_plots/index.html",
    }


def test_a_folder_that_was_there_gets_the_page_and_no_gitignore(bikes):
    (bikes / "mine").mkdir()

    path_of(make.done(bikes, "plots", "show", "-o", "mine"))

    assert [file.name for file in (bikes / "mine").iterdir()] == ["index.html"]


def test_plots_of_revisions_lie_over_one_another(bikes):
    make.write(bikes, {"plots/by_hour.csv": "hour,mae,baseline_mae\n0,9,9\n"})

    path = path_of(make.done(bikes, "plots", "diff", "-o", "out/of it"))
    document = json.loads(make.done(bikes, "plots", "diff", "HEAD", "--json"))

    assert path == bikes / "out" / "of it" / "index.html"
    (entry,) = document["data"]["plots/by_hour.csv"]
    assert (entry["type"], entry["revisions"]) == ("vega", ["HEAD", "workspace"])
    assert {row["rev"] for row in entry["content"]["data"]["values"]} == {"HEAD", "workspace"}
    assert document["errors"] == []


def test_a_page_with_nothing_on_it_is_not_written(bikes):
    shutil.rmtree(bikes / "plots")

    shown = make.assay(bikes, "plots", "show")

    assert shown.code == 255
    assert "plots/daily.csv: there is no such file" in shown.err
    assert "no plot could be drawn" in shown.err
    assert not (bikes / "dvc_plots").exists()
    assert len(json.loads(make.done(bikes, "plots", "show", "--json"))["errors"]) == 2


def test_a_folder_for_the_page_that_is_a_file_is_a_clear_error(bikes):
    make.write(bikes, {"dvc_plots": "mine"})
    shown = make.assay(bikes, "plots", "show")
    assert shown.code == 255
    assert "dvc_plots" in shown.err
    assert (bikes / "dvc_plots").read_text() == "mine"


PEER = """\
stages:
  a:
    cmd: python run.py
    deps: [run.py]
    metrics: [cached.json]
    outs: [folder]
    params: [lr, other.yaml: [a.b, c], whole.py: ]
  b:
    cmd: 'true'
    wdir: sub
    metrics: [m.yaml: {cache: false}, gone.json: {cache: false}]
metrics: [top.json, bad.yaml, bad.toml, bad.json, scalar.json, dir]
params: [extra.toml]
plots:
  - p.csv: {x: a, y: b, title: P}
  - nope.csv
  - Both: {x: {p.csv: a}, y: {p.csv: b, q.csv: [c, d]}}
  - img.svg
"""
RUN = """\
import os, pathlib
os.makedirs("folder", exist_ok=True)
pathlib.Path("cached.json").write_text('{"acc": ACC, "n": {"k": 1, "l": [1], "s": "x"}}')
pathlib.Path("folder/inner.json").write_text("{}")
"""


@pytest.fixture
def shared(project: Path) -> Path:
    """A project with a bit of everything, run by real DVC at HEAD and again in the workspace."""
    make.write(
        project,
        {
            "dvc.yaml": PEER,
            "run.py": RUN.replace("ACC", "0.5"),
            "params.yaml": "lr: 0.1\nl: [1, 2]\nn: null\ne: {}\nd: {a: 1}\nt: text\n",
            "other.yaml": "a: {b: 1, z: 2}\nc: [1]\n",
            "whole.py": "X = 3\nclass Net:\n    depth = [1, 2]\n",
            "extra.toml": "k = 1\n",
            "sub/m.yaml": "f1: 0.123456789\nsame: 1\nok: true\n",
            "top.json": '{"t": 1}',
            "scalar.json": "0.5",
            "bad.yaml": "a: [\n",
            "bad.toml": "a =\n",
            "bad.json": "{",
            "dir/z.json": '{"z": 1}',
            "dir/y.json": '{"y": {"k": true, "n": null, "e": {}}}',
            "p.csv": "a,b\n1,2\n2,3\n",
            "q.csv": "c,d\n5,6\n7,8\n",
            "img.svg": "<svg xmlns='http://www.w3.org/2000/svg'/>",
        },
    )
    dvc(project, "repro", "-q", "a")
    make.commit(project)
    make.write(
        project,
        {
            "run.py": RUN.replace("ACC", "0.75"),
            "params.yaml": "lr: 0.3\nl: [1, 3]\nnew: x\ne: {}\nd: {a: 1.5}\nb: true\nt: word\n",
            "other.yaml": "a: {b: 1, z: 3}\nc: [2]\n",
            "whole.py": "X = 4\nclass Net:\n    depth = [1, 3]\n",
            "sub/m.yaml": "f1: 0.2\nsame: 1\nok: false\n",
            "scalar.json": "0.75",
            "dir/w.json": '{"w": 1}',
        },
    )
    dvc(project, "repro", "-q", "a")
    return project


def dvc(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [DVC, *arguments], cwd=folder, env=os.environ, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def without_words(document: Any) -> Any:
    """Take the wording out of errors: it is ours."""
    if isinstance(document, dict):
        return {k: without_words(v) for k, v in document.items() if k != "msg"}
    return document


@pytest.mark.peer
@pytest.mark.skipif(not DVC.exists(), reason="real DVC is not installed; 'make test' does that")
def test_metrics_and_params_are_told_as_real_dvc_tells_them(shared):
    for folder, arguments in (
        (shared, ("metrics", "show", "--json")),
        (shared / "sub", ("metrics", "show", "--json")),
        (shared, ("metrics", "show", "--json", "top.json", "dir")),
        (shared, ("metrics", "diff", "--json")),
        (shared, ("metrics", "diff", "--all", "--json")),
        (shared / "sub", ("metrics", "diff", "HEAD", "--json")),
        (shared, ("params", "diff", "--json")),
        (shared, ("params", "diff", "--all", "--json")),
    ):
        theirs = json.loads(dvc(folder, *arguments))
        ours = json.loads(make.done(folder, *arguments))
        assert without_words(ours) == without_words(theirs), arguments
        assert theirs != {}


@pytest.mark.peer
@pytest.mark.skipif(not DVC.exists(), reason="real DVC is not installed; 'make test' does that")
def test_what_is_not_checked_out_is_told_as_real_dvc_tells_it(shared):
    (shared / "cached.json").unlink()
    arguments = ("metrics", "show", "--json")
    ours = json.loads(make.done(shared, *arguments))
    assert ours[""]["data"]["cached.json"]["data"]["acc"] == 0.75
    assert without_words(ours) == without_words(json.loads(dvc(shared, *arguments)))


@pytest.mark.peer
@pytest.mark.skipif(not DVC.exists(), reason="real DVC is not installed; 'make test' does that")
def test_plots_have_the_names_kinds_and_errors_of_real_dvc(shared):
    for arguments in (("plots", "show", "--json"), ("plots", "diff", "--json")):
        theirs = json.loads(dvc(shared, *arguments))
        ours = json.loads(make.done(shared, *arguments))

        def kinds(document: Any) -> Any:
            return {
                name: sorted((entry["type"], sorted(entry["revisions"])) for entry in entries)
                for name, entries in document["data"].items()
                if entries
            }

        assert kinds(ours) == kinds(theirs)
        errors = [[without_words(e) for e in told["errors"]] for told in (ours, theirs)]
        assert sorted(errors[0], key=_place) == sorted(errors[1], key=_place)


def _place(entry: dict[str, Any]) -> tuple[str, str]:
    return entry["name"], entry["rev"]
