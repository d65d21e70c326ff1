"""The real client logs by itself, and reads what our SDK logged."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.writer import Code, Data, Metric, Writer
from tests import mlflow

pytestmark = [pytest.mark.peer, mlflow.needs("mlflow"), mlflow.needs("mlflow-skinny")]


def test_autologging_of_sklearn_records_parameters_metrics_and_a_model(client: mlflow.Session):
    found = client.run(
        """
import warnings
warnings.simplefilter("ignore")
import numpy
from sklearn.linear_model import LogisticRegression
mlflow.set_experiment("autolog")
mlflow.sklearn.autolog(silent=True)
try:
    X = numpy.arange(40.0).reshape(20, 2)
    model = LogisticRegression(C=0.5, max_iter=50).fit(X, numpy.arange(20) % 2)
    run = mlflow.last_active_run()
finally:
    mlflow.sklearn.autolog(disable=True)
again = client.get_run(run.info.run_id)
[output] = again.outputs.model_outputs
loaded = mlflow.sklearn.load_model(f"models:/{output.model_id}")
by_run = mlflow.sklearn.load_model(f"runs:/{run.info.run_id}/model")
give({"params": again.data.params, "metrics": sorted(again.data.metrics), "tags": again.data.tags,
      "inputs": len(again.inputs.dataset_inputs),
      "same": bool((loaded.predict(X) == model.predict(X)).all()),
      "same_by_run": bool((by_run.predict(X) == model.predict(X)).all()),
      "files": sorted(f.path for f in client.list_artifacts(run.info.run_id))})
""",
    )
    assert found["params"]["C"] == "0.5"
    assert found["params"]["max_iter"] == "50"
    assert "training_accuracy_score" in found["metrics"]
    assert found["tags"]["estimator_name"] == "LogisticRegression"
    assert found["tags"]["mlflow.autologging"] == "sklearn"
    assert found["inputs"] == 1
    assert (found["same"], found["same_by_run"]) == (True, True)
    assert any("confusion_matrix" in path for path in found["files"])


def test_the_client_reads_what_our_sdk_logged(tmp_path: Path):
    """What `assay.run()` records is a run of MLflow's, with name, owner, inputs and artifacts."""
    folder = tmp_path / "served"
    (folder / "hub").mkdir(parents=True)
    with open_ledger(folder / "hub" / "ledger.db") as ledger:
        writer = Writer(ledger)
        parent = writer.start_run(name="parent", kind="pipeline", owner="ada")
        code = Code(commit="c" * 40)
        run = writer.start_run(name="train", kind="stage", parent=parent, owner="ada", code=code)
        writer.log_params(run, {"lr": 0.1, "layers": [8, 8]})
        writer.log_metrics(run, [Metric(key="loss", value=math.inf, step=1, at=5)])
        writer.set_tags(run, {"a": "b"})
        writer.add_inputs(run, [Data(path="data/x.csv", oid=f"md5:{'a' * 32}", size=3)])
        writer.finish_run(run, status="finished", at=10_000)
    with mlflow.hub(folder) as server:
        found = mlflow.client(
            server.url,
            """
run = client.get_run(id_)
[data] = run.inputs.dataset_inputs
give({"name": run.info.run_name, "user": run.info.user_id, "status": run.info.status,
      "params": run.data.params, "loss": repr(run.data.metrics["loss"]), "tags": run.data.tags,
      "dataset": [data.dataset.name, data.dataset.digest]})
""",
            peer="mlflow-skinny",
            id_=run,
        )
    assert (found["name"], found["user"], found["status"]) == ("train", "ada", "FINISHED")
    assert found["params"] == {"lr": "0.1", "layers": "[8,8]"}
    assert found["loss"] == "inf"
    assert found["tags"] == {
        "a": "b", "mlflow.runName": "train", "mlflow.user": "ada", "mlflow.parentRunId": parent,
        "mlflow.source.git.commit": "c" * 40,
    }  # fmt: skip
    assert found["dataset"] == ["data/x.csv", f"md5:{'a' * 32}"]
