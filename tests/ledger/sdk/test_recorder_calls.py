"""What a script calls: in the order of MLflow's parameters, and with what is no value of a run."""

from __future__ import annotations

import argparse
import datetime as dt
import enum
import inspect
import json
import math
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import assay
from assay.base.errors import Error
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.sdk import channels, recorder
from assay.ledger.sdk.active import ActiveRun
from tests import make, mlflow


@pytest.fixture
def ledger(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.chdir(project)
    monkeypatch.setenv("ASSAY_RUN_SYSTEM_METRICS", "false")
    with open_ledger(project / ".assay" / "ledger.db") as opened:
        yield opened
    channels._channels.clear()


def test_the_order_of_parameters_is_that_of_mlflow(project: Path, ledger: Ledger):
    make.write(project, {"f.txt": "f", "d/g.txt": "g"})
    with assay.run() as run:
        for to, name in ((assay, "module"), (run, "method")):
            to.log_metric(f"{name}.a", 1, 3)
            to.log_metrics({f"{name}.b": 2}, 4)
            to.log_param(f"{name}.p", 5)
            to.set_tag(f"{name}.t", 6)
            to.log_artifact("f.txt", f"{name}/sub")
            to.log_artifacts("d", f"{name}/folder")
            to.log_text("t", f"{name}/a.txt")
            to.log_dict({"x": 1}, f"{name}/a.json")
            to.log_table({"x": [1]}, f"{name}/a.csv")
    found = runs.get(ledger, run.id)
    for name in ("module", "method"):
        assert (found.metrics[f"{name}.a"].step, found.metrics[f"{name}.b"].step) == (3, 4)
        assert (found.params[f"{name}.p"], found.tags[f"{name}.t"]) == (5, "6")
        kept = {f"{name}/{path}" for path in ("sub/f.txt", "folder/g.txt")}
        kept |= {f"{name}/a{ending}" for ending in (".txt", ".json", ".csv")}
        assert kept <= {one.path for one in found.artifacts}


NAMES = (
    "log_metric", "log_metrics", "log_param", "log_params", "log_artifact", "log_artifacts",
    "log_text", "log_dict", "log_figure", "log_table", "set_tag", "set_tags",
)  # fmt: skip
OURS = {  # MLflow's word for a parameter, and ours
    "local_path": "path", "local_dir": "folder", "artifact_path": "to", "artifact_file": "path",
    "dictionary": "mapping",
}  # fmt: skip


@mlflow.needs()
def test_what_mlflow_takes_by_position_is_taken_at_the_same_one():
    script = f"""if True:
        import inspect, json, mlflow
        found = {{name: list(inspect.signature(getattr(mlflow, name)).parameters)
                 for name in {NAMES!r}}}
        print(json.dumps(found))
    """
    command = [str(mlflow.python()), "-W", "ignore", "-c", script]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    for name, theirs in json.loads(done.stdout).items():
        for call in (getattr(recorder, name), getattr(ActiveRun, name)):
            ours = [
                one.name
                for one in inspect.signature(call).parameters.values()
                if one.kind is one.POSITIONAL_OR_KEYWORD and one.name != "self"
            ]
            assert ours == [OURS.get(one, one) for one in theirs[: len(ours)]], name
            rest = set(theirs[len(ours) :])
            assert rest <= {
                "synchronous", "timestamp", "run_id", "model_id", "dataset", "save_kwargs",
            }, name  # fmt: skip


class Colour(enum.Enum):
    RED = 1


class Estimator:
    def __repr__(self) -> str:
        return "Estimator(depth=3)"


def test_parameters_of_any_kind_are_kept_as_their_text_as_mlflow_does(ledger: Ledger):
    moment = dt.datetime(2026, 1, 2, tzinfo=dt.UTC)
    given = {
        "steps": [("scale", Estimator()), ("fit", None)], "memory": None, "model": Estimator(),
        "many": np.arange(3), "one": np.array([7]), "flag": np.bool_(True), "path": Path("a/b"),
        "colour": Colour.RED, "moment": moment, "kind": float, "nan": math.nan, "empty": {},
        "bytes": b"x", "weights": {0: 1.5, 1: None}, "odd": {(1, 2): {3}},
    }  # fmt: skip
    with assay.run() as run:
        assay.log_params(given)
    found = runs.get(ledger, run.id).params
    assert str(found.pop("nan")) == "nan"
    assert found == {
        "steps": "[('scale', Estimator(depth=3)), ('fit', None)]", "memory": None,
        "model": "Estimator(depth=3)", "many": "[0 1 2]", "one": 7, "flag": True, "path": "a/b",
        "colour": "Colour.RED", "moment": str(moment), "kind": "<class 'float'>", "empty": {},
        "bytes": "b'x'", "weights.0": 1.5, "weights.1": None, "odd.(1, 2)": "{3}",
    }  # fmt: skip


def test_the_parameters_of_a_pipeline_are_kept(ledger: Ledger):
    pytest.importorskip("sklearn")
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    given = make_pipeline(StandardScaler(), LogisticRegression(C=0.5)).get_params()
    with assay.run() as run:
        assay.log_params(given)
    found = runs.get(ledger, run.id).params
    assert set(found) == set(given)
    assert (found["logisticregression__C"], found["memory"]) == (0.5, None)
    assert found["logisticregression"] == "LogisticRegression(C=0.5)"


sdk: Any = assay  # which is called as its types forbid
REFUSED: list[tuple[Any, str]] = [
    (lambda: sdk.log_text(b"x", "a.txt"), r"given a bytes; expected is text\n.*log_artifact"),
    (lambda: sdk.log_text("\ud800", "a.txt"), "holds signs that UTF-8 has no bytes for"),
    (lambda: sdk.log_text("x", 5), "artifacts is an int; expected is text"),
    (lambda: sdk.log_params([1]), r"log_params\(\) was given a list; expected is a mapping"),
    (lambda: sdk.log_params(argparse.Namespace(a=1)), r"given a Namespace.*\n.*vars\(args\)"),
    (lambda: sdk.log_metrics(["a"]), r"log_metrics\(\) was given a list; expected is a mapping"),
    (lambda: sdk.set_tags("a"), r"set_tags\(\) was given a str; expected is a mapping"),
    (lambda: sdk.set_tags(None), r"set_tags\(\) was given None; expected is a mapping"),
    (lambda: sdk.run(params=[1]), r"run\(params=\.\.\.\) was given a list; expected is a map"),
    (lambda: sdk.run(tags=["a"]), r"run\(tags=\.\.\.\) was given a list; expected is a mapping"),
    (lambda: sdk.run(5), "the name of a run is 5; expected is text"),
    (lambda: sdk.run(experiment=5), "the name of an experiment is 5; expected is text"),
    (lambda: sdk.run(resume=5), "the name of a run is 5; expected is text"),
    (lambda: sdk.log_metric("a", object()), "metric 'a' is an object; expected is a number"),
    (lambda: sdk.log_dict({"a": object()}, "x.json"), "no JSON: 'a' holds an object"),
    (
        lambda: sdk.log_dict({"a": {"b": [1, {2, 3}]}}, "x.json"),
        r"x\.json: this is no JSON: 'a\.b\[1\]' holds a set\n  hint: give its text",
    ),
    (lambda: sdk.log_dict([1, 2j], "x.json"), r"no JSON: '\[1\]' holds a complex"),
    (lambda: sdk.log_dict({"a": [object()]}, "x.yaml"), r"no YAML: 'a\[0\]' holds an object"),
    (lambda: sdk.log_dict({"a": {(1, 2): 3}}, "x.json"), "no JSON: keys must be str"),
    (lambda: sdk.log_dict(circle(), "x.json"), "no JSON: Circular reference"),
    (lambda: sdk.log_table(object(), "x.csv"), "an object is no table"),
]


def circle() -> dict[str, Any]:
    found: dict[str, Any] = {}
    found["a"] = found
    return found


@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_what_is_no_value_of_a_run_is_an_error_that_says_what_is_wanted(
    ledger: Ledger, call: Any, said: str
):
    with assay.run("only") as run, pytest.raises(Error, match=said):
        call()
    found = runs.get(ledger, run.id)
    assert (found.artifacts, found.params, found.metrics, found.tags) == ((), {}, {}, {})
    assert len(runs.list_(ledger, top_level=False)) == 1


def test_a_deleted_run_does_not_go_on_and_it_is_said_how_it_comes_back(
    project: Path, ledger: Ledger
):
    with assay.run("gone") as run:
        pass
    make.done(project, "runs", "delete", run.id)
    for name in (run.id, run.id[:14], run.id.upper()):
        with (
            pytest.raises(Error, match=rf"{run.id}.* is deleted.*\n.*assay runs restore"),
            assay.run(resume=name),
        ):
            pass
    make.done(project, "runs", "restore", run.id)
    with assay.run(resume=run.id):
        pass


TRACED = """
import sys
import assay

def deepest():
    raise ValueError("bad")

def work():
    deepest()

@assay.run
def decorated():
    work()

@assay.run
def outer():
    decorated()

def block():
    with assay.run("block"), assay.run("inner"):
        work()

def caused():
    with assay.run("caused"):
        try:
            decorated()
        except ValueError as error:
            raise RuntimeError("worse") from error

globals()[sys.argv[1]]()
"""


@pytest.mark.parametrize("how", ["decorated", "outer", "block", "caused"])
def test_the_last_lines_of_a_run_that_raised_begin_with_the_frames_of_the_user(
    project: Path, ledger: Ledger, how: str
):
    make.write(project, {"train.py": TRACED})
    done = subprocess.run(
        [sys.executable, "train.py", how], cwd=project, capture_output=True, check=False
    )
    assert done.returncode == 1
    for row in runs.list_(ledger, top_level=False):
        text = runs.get(ledger, row.id).log_tail or ""
        assert "recorder.py" not in text
        assert "block.py" not in text
        assert "contextlib" not in text
        first, second, *_ = text.splitlines()
        assert first == "Traceback (most recent call last):"
        assert second.startswith(f'  File "{project / "train.py"}", line')
        assert "in deepest" in text
        assert text.endswith(("ValueError: bad\n", "RuntimeError: worse\n"))


def test_an_error_of_ours_is_shown_to_where_it_was_raised(project: Path, ledger: Ledger):
    with pytest.raises(Error), assay.run() as run:
        assay.log_metric("loss", "high")
    text = runs.get(ledger, run.id).log_tail or ""
    assert f'File "{__file__}"' in text.splitlines()[1]
    assert "in log_metric" in text


@pytest.mark.parametrize(
    ("arguments", "command", "name"),
    [
        (["train.py", "--lr", "1"], "train.py --lr 1", "train"),
        (["-m", "pkg.train", "--lr", "1"], "python -m pkg.train --lr 1", "train"),
        (["-OOum", "pkg.train"], "python -OOu -m pkg.train", "train"),
        (["-O", "-X", "utf8", "train.py", "-O"], "python -O -X utf8 train.py -O", "train"),
        (["-m", "pkg", "a b"], "python -m pkg 'a b'", "pkg"),
        (["pkg"], "pkg", "pkg"),
        (["-m", "cProfile", "-o", "stats", "train.py"], "train.py", "train"),
    ],
)
def test_a_run_keeps_how_it_was_called(
    project: Path, ledger: Ledger, arguments: list[str], command: str, name: str
):
    code = "import assay\nwith assay.run(): pass\n"
    names = ("train.py", "pkg/__init__.py", "pkg/train.py", "pkg/__main__.py")
    make.write(project, {one: "" if "init" in one else code for one in names})
    subprocess.run([sys.executable, *arguments], cwd=project, check=True, capture_output=True)
    found = runs.get(ledger, "latest")
    assert (found.command, found.name) == (command, name)
