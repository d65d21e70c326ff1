"""What the real client of MLflow logged is a lineage, and is told not to be done again."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from assay.project import workspace
from tests import make, mlflow

pytestmark = [pytest.mark.peer, mlflow.needs()]

SCRIPT = """
import pandas as pd
data = mlflow.data.from_pandas(pd.DataFrame({"x": [1.0]}), source="a.csv", name="wine")
mlflow.set_experiment("traced")
with mlflow.start_run() as run:
    mlflow.log_param("lr", 0.1)
    mlflow.log_input(data, context="train")
    mlflow.log_text("a note", "note.txt")
    made = mlflow.initialize_logged_model(name="clf", source_run_id=run.info.run_id)
    mlflow.finalize_logged_model(made.model_id, "READY")
    client.log_outputs(run.info.run_id, [mlflow.entities.LoggedModelOutput(made.model_id, 0)])
    mlflow.log_metric("loss", 0.5)
with mlflow.start_run() as other:
    client.log_inputs(other.info.run_id, models=[mlflow.entities.LoggedModelInput(made.model_id)])
client.create_registered_model("boats")
client.create_model_version("boats", f"models:/{made.model_id}", run_id=run.info.run_id,
                            model_id=made.model_id)
give([run.info.run_id, other.info.run_id, made.model_id, data.digest])
"""


def test_what_a_client_logged_is_followed_both_ways(tmp_path: Path) -> None:
    folder = make.project(tmp_path / "project")
    make.commit(folder)
    ledger = workspace.find(folder).ledger_path
    with (
        mlflow.hub(tmp_path, "--ledger", str(ledger)) as server,
        mlflow.session(server.url) as client,
    ):
        run, other, model, digest = client.run(SCRIPT)

    found = json.loads(make.done(folder, "trace", "--json", model))
    (above,) = found["came_from"]
    assert (above["relation"], above["id"].replace("-", "")) == ("made by", f"run:{run}")
    read, params, _code = above["children"]
    assert read["label"] == f"wine  {digest[:8]}"
    assert params["label"] == "lr=0.1"
    assert {(n["relation"], n["id"].replace("-", "")) for n in found["led_to"]} == {
        ("registered as", "version:boats/1"), ("read by", f"run:{other}"),
    }  # fmt: skip

    text = make.done(folder, "trace", above["id"])
    for words in (
        "logged metric loss = 0.5", "kept artifact note.txt", f"made model {model[:10]} 'clf'",
    ):  # fmt: skip
        assert words in text
    assert f"registered from model {model[:10]} 'clf'" in make.done(folder, "trace", "boats@1")

    shown = make.assay(folder, "reproduce", model)
    assert shown.code == 255
    assert "has no record of what was called" in shown.err
