"""The real client logs models and data sets on the hub, and loads them by each of their names."""

from __future__ import annotations

import pytest

from tests import mlflow

pytestmark = [pytest.mark.peer, mlflow.needs()]

_TREE = """
import pathlib, tempfile
folder = pathlib.Path(tempfile.mkdtemp())
def tree(of):
    files = [path for path in pathlib.Path(of).rglob("*") if path.is_file()]
    return {path.relative_to(of).as_posix(): path.read_bytes().decode() for path in files}
"""


_FIT = """
import numpy as np
from sklearn.linear_model import LogisticRegression
X = np.arange(20.0).reshape(10, 2); y = np.arange(10) % 2
model = LogisticRegression().fit(X, y)
def same(other):
    return bool((other.predict(X) == model.predict(X)).all())
"""


def test_a_model_is_loaded_by_each_of_its_names(client: mlflow.Session) -> None:
    found = client.run(
        _FIT
        + """
mlflow.set_experiment("models")
with mlflow.start_run() as run:
    mlflow.log_param("lr", 1)
    mlflow.log_metric("loss", 0.5, step=0)
    mlflow.log_metric("late", 0.5, step=3)
    info = mlflow.sklearn.log_model(model, name="clf", input_example=X[:2],
                                    registered_model_name="boats")
client.set_registered_model_alias("boats", "champion", 1)
names = [f"runs:/{run.info.run_id}/clf", f"models:/{info.model_id}", info.model_uri,
         "models:/boats/1", "models:/boats@champion", "models:/boats/latest"]
loaded = [same(mlflow.sklearn.load_model(name)) for name in names]
generic = same(mlflow.pyfunc.load_model("models:/boats@champion"))
logged = mlflow.get_logged_model(info.model_id)
again = client.get_run(run.info.run_id)
metrics = sorted((m.key, m.step, m.run_id == run.info.run_id) for m in logged.metrics)
give([loaded, generic, logged.status.value, logged.params,
      logged.source_run_id == run.info.run_id, metrics, logged.tags["mlflow.modelVersions"],
      [o.model_id == info.model_id for o in again.outputs.model_outputs],
      sorted(i.path for i in client.list_logged_model_artifacts(info.model_id))])
"""
    )
    assert all(found[0])
    assert found[1] is True
    assert found[2:5] == ["READY", {"lr": "1"}, True]
    assert found[5] == [["loss", 0, True]]
    assert '"boats"' in found[6]
    assert found[7] == [True]


def test_an_experiment_may_have_a_place_of_its_own(client: mlflow.Session) -> None:
    name, root = "own place", "mlflow-artifacts:/team/own-place"
    found = client.run(
        _TREE
        + _FIT
        + """
client.create_experiment(name, artifact_location=location)
mlflow.set_experiment(name)
with mlflow.start_run() as run:
    mlflow.log_text("1", "d/a.txt")
    info = mlflow.sklearn.log_model(model, name="clf")
(folder / "out").mkdir()
files = tree(mlflow.artifacts.download_artifacts(
    run_id=run.info.run_id, artifact_path="d", dst_path=str(folder / "out")))
give([run.info.artifact_uri, files, same(mlflow.sklearn.load_model(info.model_uri)),
      mlflow.get_logged_model(info.model_id).artifact_location])
""",
        name=name,
        location=root,
    )
    assert found[0].startswith(f"{root}/")
    assert found[1:3] == [{"a.txt": "1"}, True]
    assert found[3].startswith(f"{root}/models/m-")


def test_a_logged_model_is_told_changed_and_deleted(client: mlflow.Session) -> None:
    found = client.run(
        """
model = mlflow.create_external_model(
    name="ext", model_type="agent", params={"a": "1"}, tags={"t": "x"})
mlflow.set_logged_model_tags(model.model_id, {"u": 2})
mlflow.delete_logged_model_tag(model.model_id, "t")
mlflow.log_model_params({"b": "2"}, model_id=model.model_id)
with mlflow.start_run() as run:
    mlflow.log_metric("f1", 0.5, step=1, model_id=model.model_id)
    client.log_inputs(run.info.run_id, models=[mlflow.entities.LoggedModelInput(model.model_id)])
found = mlflow.get_logged_model(model.model_id)
inputs = client.get_run(run.info.run_id).inputs.model_inputs
client.delete_logged_model(model.model_id)
try:
    mlflow.get_logged_model(model.model_id)
except Exception as error:
    give([found.name, found.model_type, found.status.value, found.params, found.tags.get("u"),
          "t" in found.tags, [(m.key, m.value, m.step) for m in found.metrics],
          [i.model_id == model.model_id for i in inputs], error.error_code])
"""
    )
    assert found == [
        "ext", "agent", "READY", {"a": "1", "b": "2"}, "2", False, [["f1", 0.5, 1]], [True],
        "RESOURCE_DOES_NOT_EXIST",
    ]  # fmt: skip


def test_autolog_keeps_model_params_and_metrics(client: mlflow.Session) -> None:
    found = client.run(
        """
mlflow.sklearn.autolog()
"""
        + _FIT
        + """
run = mlflow.last_active_run()
mlflow.sklearn.autolog(disable=True)
run = client.get_run(run.info.run_id)
(output,) = run.outputs.model_outputs
loaded = mlflow.sklearn.load_model(f"models:/{output.model_id}")
names = [info.path for info in client.list_artifacts(run.info.run_id)]
give([run.info.status, run.data.params["solver"],
      "training_accuracy_score" in run.data.metrics, same(loaded),
      run.data.tags["estimator_name"],
      [d.dataset.name for d in run.inputs.dataset_inputs], names])
"""
    )
    assert found[:5] == ["FINISHED", "lbfgs", True, True, "LogisticRegression"]
    assert found[5] == ["dataset"]
    assert {"estimator.html", "training_roc_curve.png"} <= set(found[6])


def test_a_pandas_data_set_is_an_input(client: mlflow.Session) -> None:
    found = client.run(
        """
import pandas as pd
frame = pd.DataFrame({"x": [1.0, 2.0], "y": [0, 1]})
data = mlflow.data.from_pandas(frame, source="a.csv", name="wine", targets="y")
with mlflow.start_run() as run:
    for _ in range(2):
        mlflow.log_input(data, context="train", tags={"a": "1"})
    mlflow.log_metric("auc", 0.5, dataset=data)
(found,) = client.get_run(run.info.run_id).inputs.dataset_inputs
filter = "dataset.name = 'wine' and dataset.context = 'train'"
hits = mlflow.search_runs(filter_string=filter, output_format="list")
one = found.dataset
give([one.name, one.digest == data.digest, one.source_type, json.loads(one.source),
      json.loads(one.profile), "mlflow_colspec" in json.loads(one.schema),
      {tag.key: tag.value for tag in found.tags},
      [hit.info.run_id == run.info.run_id for hit in hits]])
"""
    )
    assert found == [
        "wine", True, "local", {"uri": "a.csv"}, {"num_rows": 2, "num_elements": 4}, True,
        {"mlflow.data.context": "train", "a": "1"}, [True],
    ]  # fmt: skip
