"""Runs scripts with the real client of MLflow; a program of `.peers`, which has nothing of ours.

Reads `[script, {argument: value}]` as JSON, one a line, and answers each with a line of JSON:
`{"gave": VALUE}`, or `{"error": TRACEBACK, "kind": CLASS, "code": MLFLOW_CODE}`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
import traceback
from typing import Any


def main() -> None:
    import mlflow
    from mlflow import MlflowClient

    answers, sys.stdout = sys.stdout, sys.stderr  # what a script prints is no answer
    for line in sys.stdin:
        script, arguments = json.loads(line)
        gave: list[object] = []
        names = {
            "mlflow": mlflow, "client": MlflowClient(), "json": json, "os": os,
            "url": os.environ["MLFLOW_TRACKING_URI"], "give": gave.append, **arguments,
        }  # fmt: skip
        try:
            exec(compile(script, "<script>", "exec"), names)
            answer = json.dumps({"gave": gave[-1] if gave else None})
        except BaseException as error:  # noqa: BLE001 -- told to whom it concerns
            said = io.StringIO()
            traceback.print_exc(file=said)
            code = getattr(error, "error_code", None)
            kind = type(error).__name__
            answer = json.dumps({"error": said.getvalue(), "kind": kind, "code": code})
        _forget(mlflow)
        answers.write(answer + "\n")
        answers.flush()


def _forget(mlflow: Any) -> None:
    """End what is active, and leave the experiment that was set."""
    with contextlib.suppress(Exception):
        while mlflow.active_run() is not None:
            mlflow.end_run()
    from mlflow.tracking import fluent

    fluent._active_experiment_id = None
    os.environ.pop("MLFLOW_EXPERIMENT_ID", None)


if __name__ == "__main__":
    main()
