"""A table that is logged in parts has the rows that MLflow's client gives it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests import make, mlflow

pytestmark = [pytest.mark.peer, mlflow.needs()]

_PARTS = """
import pandas
parts = [
    {"a": [1, 2], "b": ["x", None]},
    {"c": [1.5], "b": ["y"]},
    {"b": ["z"], "a": [3], "c": [2.5]},
]
"""
_THEIRS = f"""{_PARTS}
with mlflow.start_run() as run:
    for part in parts:
        mlflow.log_table(part, "t.json")
        mlflow.log_table(pandas.DataFrame(part), "t.parquet")
paths = [
    mlflow.artifacts.download_artifacts(run_id=run.info.run_id, artifact_path=name)
    for name in ("t.json", "t.parquet")
]
give([json.load(open(paths[0])), pandas.read_parquet(paths[1]).to_json(orient="split")])
"""
_OURS = f"""
import json, sys
sys.path.append(sys.argv[1])
{_PARTS}
import assay
with assay.run() as run:
    for part in parts:
        assay.log_table(part, "t.json")
        assay.log_table(pandas.DataFrame(part), "t.parquet")
table = json.loads(assay.load(f"runs:/{{run.id}}/t.json").read_text())
frame = pandas.read_parquet(assay.load(f"runs:/{{run.id}}/t.parquet"))
print(json.dumps([table, frame.to_json(orient="split")]))
"""


def test_a_table_in_parts_is_mlflows(client: mlflow.Session, tmp_path: Path) -> None:
    theirs: Any = client.run(_THEIRS)
    root = make.project(tmp_path / "project")
    asked = [str(mlflow.python()), "-c", "import pandas; print(pandas.__path__[0])"]
    packages = Path(subprocess.check_output(asked, text=True).strip()).parent
    printed = subprocess.run(
        [sys.executable, "-c", _OURS, packages], cwd=root, check=True, capture_output=True
    ).stdout
    assert json.loads(printed) == theirs
