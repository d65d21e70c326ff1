"""A person moves over from MLflow: what its client saw in its own store, it sees in our hub."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import models, runs
from assay.ledger.database import open_ledger
from assay.project.workspace import Project
from tests import make, mlflow

pytestmark = [pytest.mark.peer, mlflow.needs("mlflow")]

FILL = """
import math, pathlib
from mlflow.entities import Dataset, DatasetInput, InputTag, Metric, LoggedModelOutput
from mlflow.entities import LoggedModelStatus
pathlib.Path("note.txt").write_text("hello")
mlflow.set_experiment("churn")
client.set_experiment_tag(client.get_experiment_by_name("churn").experiment_id, "owner", "Ada")
with mlflow.start_run(run_name="parent", tags={"team": "x", "ü": "a\\nb"}) as run:
    me = run.info.run_id
    mlflow.log_params({"lr": 0.1, "text": "two words", "empty": ""})
    for step in range(5):
        mlflow.log_metric("loss", 1 / (step + 1), step=step)
    mlflow.log_metric("a/nested key", -2.5, step=-1)
    mlflow.log_metric("nan", math.nan)
    mlflow.log_metric("inf", math.inf)
    mlflow.log_artifact("note.txt")
    mlflow.log_text("t", "dir/a b.txt")
    with mlflow.start_run(run_name="child", nested=True):
        mlflow.log_param("depth", 3)
    exp = run.info.experiment_id
    made = client.create_logged_model(exp, name="clf", source_run_id=me,
                                      tags={"a": "b"}, params={"C": "1"}, model_type="linear")
    client.log_model_artifact(made.model_id, "note.txt")
    client.finalize_logged_model(made.model_id, LoggedModelStatus.READY)
    client.log_outputs(me, [LoggedModelOutput(made.model_id, 2)])
    client.log_batch(me, metrics=[Metric("acc", 0.5, 7, 0, model_id=made.model_id, run_id=me)])
    data = Dataset(name="d", digest="023233aa", source_type="code", source="{}",
                   schema="{}", profile="{}")
    client.log_inputs(me, [DatasetInput(data, [InputTag("mlflow.data.context", "training")])])
try:
    with mlflow.start_run(run_name="bad"):
        raise ValueError
except ValueError:
    pass
mlflow.start_run(run_name="open")
with mlflow.start_run(run_name="gone", nested=True) as gone:
    pass
client.delete_run(gone.info.run_id)
mlflow.end_run()
client.delete_experiment(client.create_experiment("gone-experiment"))
client.create_registered_model("churn", tags={"k": "v"}, description="who leaves")
for number, source in enumerate([f"models:/{made.model_id}", f"runs:/{me}/dir"], start=1):
    client.create_model_version("churn", source, run_id=me, tags={"n": str(number)},
                                description=f"version {number}")
client.create_model_version("churn", f"runs:/{me}", run_id=me)
client.delete_model_version("churn", "2")
client.set_registered_model_alias("churn", "production", 1)
client.transition_model_version_stage("churn", "1", "Staging")
give({"parent": me, "model": made.model_id})
"""

SEE = """
def dated(tags):
    return {key: value for key, value in tags.items() if not key.startswith("mlflow.source")}
seen = {"experiments": {}, "runs": {}, "models": {}, "registered": {}}
for one in client.search_experiments(view_type=3):
    seen["experiments"][one.name] = [one.lifecycle_stage, dict(one.tags), one.creation_time]
    for run in client.search_runs([one.experiment_id], run_view_type=3):
        id_ = run.info.run_id
        files = {}
        def walk(path=None):
            for item in client.list_artifacts(id_, path):
                if item.is_dir:
                    walk(item.path)
                else:
                    local = client.download_artifacts(id_, item.path, "got")
                    files[item.path] = open(local).read()
        os.makedirs("got", exist_ok=True)
        walk()
        seen["runs"][id_] = {
            "experiment": one.name, "name": run.info.run_name, "status": run.info.status,
            "stage": run.info.lifecycle_stage, "user": run.info.user_id,
            "start": run.info.start_time, "end": run.info.end_time,
            "params": dict(run.data.params), "tags": dict(run.data.tags),
            "metrics": {key: str(value) for key, value in run.data.metrics.items()},
            "histories": {key: [[p.step, p.timestamp, str(p.value)]
                                for p in client.get_metric_history(id_, key)]
                          for key in run.data.metrics},
            "datasets": [[i.dataset.name, i.dataset.digest, i.dataset.source_type,
                          i.dataset.schema, {t.key: t.value for t in i.tags}]
                         for i in run.inputs.dataset_inputs],
            "made": [[m.model_id, m.step] for m in run.outputs.model_outputs],
            "files": files,
        }
    for model in client.search_logged_models([one.experiment_id]):
        seen["models"][model.model_id] = {
            "name": model.name, "status": str(model.status), "type": model.model_type,
            "run": model.source_run_id, "params": model.params, "tags": dict(model.tags),
            "metrics": [[m.key, str(m.value), m.step, m.timestamp, m.run_id]
                        for m in model.metrics or []],
            "created": model.creation_timestamp,
            "files": [item.path for item in client.list_logged_model_artifacts(model.model_id)],
        }
for model in client.search_registered_models():
    whole = client.get_registered_model(model.name)
    seen["registered"][model.name] = {
        "description": whole.description, "tags": dict(whole.tags),
        "aliases": {key: int(value) for key, value in whole.aliases.items()},
        "versions": {
            str(v.version): [v.description or "", v.current_stage, v.run_id, v.source, v.status,
                             dict(v.tags), v.creation_timestamp]
            for v in client.search_model_versions(f"name='{model.name}'")
        },
    }
give(seen)
"""
FILES = {"MLFLOW_ALLOW_FILE_STORE": "true"}


@pytest.fixture(scope="module", params=["database", "files"])
def moved(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[str, Path, dict[str, str], Any]:
    """A store of MLflow, its folder, what was made in it, and what MLflow's client sees there."""
    folder = tmp_path_factory.mktemp(request.param)
    place = folder / ("mlflow.db" if request.param == "database" else "mlruns")
    store = f"sqlite:///{place}" if request.param == "database" else place.as_uri()
    with mlflow.session(store, env=FILES) as session:
        made = session.run(FILL)
        seen = session.run(SEE)
        shutil.copytree(session.folder, folder / "session")  # with artifacts
    return store, folder, made, seen


def artifacts_from(folder: Path) -> list[str]:
    return ["--artifacts-from", str(folder / "session" / "mlruns")]


def imported(tmp_path: Path, store: str, folder: Path) -> tuple[Path, str]:
    root = make.project(tmp_path / "project")
    more = artifacts_from(folder) if store.startswith("sqlite") else []
    return root, make.done(root, "runs", "import", "--mlflow", store, *more)


def with_infinity(seen: Any) -> Any:
    """Return what was seen with infinity where MLflow's database has the greatest number."""
    return json.loads(json.dumps(seen).replace('"1.7976931348623157e+308"', '"inf"'))


def test_the_client_sees_in_our_hub_what_it_saw_in_its_own_store(
    tmp_path: Path, moved: tuple[str, Path, dict[str, str], Any]
):
    store, folder, made, seen = moved
    root, said = imported(tmp_path, store, folder)
    assert "5 new runs" in said
    assert "1 new logged model" in said
    assert "2 registered versions" in said
    project = Project(root)
    places = ["--ledger", str(project.ledger_path), "--store", str(project.objects.folder)]
    with mlflow.hub(tmp_path, *places) as hub, mlflow.session(hub.url) as session:
        ours = session.run(SEE)
    seen = with_infinity(seen)
    for of in (ours, seen):
        del of["experiments"]["Default"][2]  # each ledger has its own from the start
    assert sorted(ours["runs"]) == sorted(seen["runs"])
    for id_, run in seen["runs"].items():
        assert ours["runs"][id_] == run
    assert ours == seen
    assert made["parent"] in seen["runs"]


def test_a_run_that_came_over_is_a_run_like_any_other(
    tmp_path: Path, moved: tuple[str, Path, dict[str, str], Any]
):
    store, folder, made, _ = moved
    root, _ = imported(tmp_path, store, folder)
    with open_ledger(Project(root).ledger_path) as ledger:
        run = runs.get(ledger, made["parent"])
        assert (run.name, run.experiment, run.status) == ("parent", "churn", "finished")
        assert run.metrics["inf"].value == float("inf")
        assert [runs.get(ledger, child).name for child in run.children] == ["child"]
        assert models.get_version(ledger, "churn@production").run == run.id
        with pytest.raises(Exception, match="no such version"):
            models.get_version(ledger, "churn/2")
    shown = make.done(root, "runs", "show", made["parent"])
    assert "loss = 0.2" in shown
    assert "dir/a b.txt  1 B" in shown
    assert f"clf  {made['model']}  ready" in shown
    assert "d  023233aa  (dataset, training)" in shown
    make.done(root, "runs", "export", made["parent"], "-o", "x.zip")


def test_importing_again_brings_what_is_new_and_changes_nothing_else(
    tmp_path: Path, moved: tuple[str, Path, dict[str, str], Any]
):
    store, folder, _, _ = moved
    root, _ = imported(tmp_path, store, folder)
    before = make.done(root, "runs", "list", "--all", "--json")
    assert make.done(root, "runs", "import", "--mlflow", store, "--no-artifacts") == (
        "All of it is here already.\n"
    )
    more = artifacts_from(folder) if store.startswith("sqlite") else []
    again = make.done(root, "runs", "import", "--mlflow", store, *more)
    assert again == "All of it is here already.\n"
    assert make.done(root, "runs", "list", "--all", "--json") == before


def test_the_store_is_only_read(tmp_path: Path, moved: tuple[str, Path, dict[str, str], Any]):
    store, folder, _, _ = moved
    before = make.snapshot(folder)
    imported(tmp_path, store, folder)
    assert make.snapshot(folder) == before


def test_a_version_with_another_content_under_a_number_is_refused(
    tmp_path: Path, moved: tuple[str, Path, dict[str, str], Any]
):
    store, _, _, _ = moved
    root = make.project(tmp_path / "project")
    with open_ledger(Project(root).ledger_path) as ledger:
        models.register(ledger, "churn", bundle="sha256:1")
    said = make.assay(root, "runs", "import", "--mlflow", store, "--no-artifacts")
    assert said.code == 0
    assert "the model 'churn' is left out: its version 1 is another one here" in said.err
    with open_ledger(Project(root).ledger_path) as ledger:
        assert [one.bundle for one in models.list_versions(ledger, "churn")] == ["sha256:1"]


def test_files_of_a_store_that_cannot_be_read_are_named_and_the_rest_comes(
    tmp_path: Path, moved: tuple[str, Path, dict[str, str], Any]
):
    store, folder, made, _ = moved
    if store.startswith("sqlite"):
        pytest.skip("a database is whole or not")
    mlruns = tmp_path / "mlruns"
    shutil.copytree(folder / "mlruns", mlruns)
    [run] = mlruns.glob(f"*/{made['parent']}")
    (run / "metrics" / "loss").write_text("1 0.5 0\nno point\n")
    (run / "params" / "lr").write_bytes(b"\xff\xfe")
    for meta in mlruns.glob("*/*/meta.yaml"):
        if "run_name: child" in meta.read_text():
            meta.write_text("a: [")
    root = make.project(tmp_path / "project")
    said = make.assay(root, "runs", "import", "--mlflow", str(mlruns), "--json")
    assert said.code == 0
    found = json.loads(said.out)
    assert len([line for line in found["complaints"] if "it cannot be read" in line]) == 1
    assert len([line for line in found["complaints"] if "'no point' is no point" in line]) == 1
    with open_ledger(Project(root).ledger_path) as ledger:
        assert [p.value for p in runs.history(ledger, made["parent"], "loss")] == [0.5]


@pytest.mark.parametrize(
    ("store", "problem"),
    [
        ("nowhere", "there is no such store of MLflow"),
        ("http://localhost:5000", "a folder or an SQLite file, not 'http'"),
        ("postgresql://x/y", "a folder or an SQLite file, not 'postgresql'"),
        ("empty", "this is no folder of MLflow: no experiment is in it"),
        ("text", "this is no database of MLflow"),
        ("other.db", "it has no table 'experiments'"),
        ("around", "this is the folder around a store of MLflow"),
    ],
)
def test_what_is_no_store_of_mlflow_is_refused_and_nothing_is_made(
    tmp_path: Path, store: str, problem: str
):
    import sqlite3

    root = make.project(tmp_path / "project")
    make.write(root, {"text": "no database", "around/mlruns/x": "", "empty/x": ""})
    sqlite3.connect(root / "other.db").execute("CREATE TABLE x (y)").connection.close()
    said = make.assay(root, "runs", "import", "--mlflow", store)
    assert said.code in {2, 255}
    assert problem in said.err
    assert "hint: " in said.err
    assert not Project(root).ledger_path.exists()
