"""Writes to a hub with MLflow's own client until its time is over; a program of `.peers`.

What was answered stands in a file, a line of JSON each: what is not there may have arrived or not,
since the server was killed before it could say so.
"""

from __future__ import annotations

import json
import sys
import time
from typing import IO, Any


class Patient:
    """A client that asks again while the server is away, as a person would."""

    def __init__(self, seconds: float) -> None:
        from mlflow import MlflowClient  # which takes seconds

        self.client, self.until = MlflowClient(), time.monotonic() + seconds

    def ask(self, name: str, *arguments: Any, **more: Any) -> Any:
        """Call a function of the client until it is answered."""
        from mlflow.exceptions import MlflowException

        while True:
            try:
                return getattr(self.client, name)(*arguments, **more)
            except MlflowException as error:
                is_away = "Max retries exceeded" in str(error) or "Connection" in str(error)
                if not is_away or time.monotonic() > self.until + 60:
                    raise
                time.sleep(0.1)


def main(name: str, seconds: str, journal: str) -> None:
    client, number = Patient(float(seconds)), 0
    experiment = new_experiment(client, f"{name}-{time.time_ns()}")
    with open(journal, "a", buffering=1) as file:  # noqa: PTH123
        while number == 0 or time.monotonic() < client.until:
            number += 1
            write(client, f"{name}-{number}", experiment, file)


def new_experiment(client: Patient, name: str) -> str:
    """Make an experiment; one whose answer was lost with a killed server is there already."""
    from mlflow.exceptions import MlflowException

    try:
        return str(client.ask("create_experiment", name))
    except MlflowException as error:
        if error.error_code != "RESOURCE_ALREADY_EXISTS":
            raise
    return str(client.ask("get_experiment_by_name", name).experiment_id)


def write(client: Patient, name: str, experiment: str, file: IO[str]) -> None:
    """Write one run, and write down what was answered."""
    from mlflow.entities import Metric, Param, RunTag

    run = client.ask("create_run", experiment, run_name=name).info.run_id

    def keep(**said: object) -> None:
        file.write(json.dumps({"run": run, **said}) + "\n")

    keep()
    for step in range(20):
        client.ask("log_metric", run, "loss", step / 7, timestamp=1_000 + step, step=step)
        keep(metric="loss", step=step, value=step / 7)
    points = [Metric(f"m{at % 5}", at / 7, 1_000, at) for at in range(100)]
    params, tags = {"lr": "0.1", "name": name}, {"team": name}
    client.ask(
        "log_batch",
        run,
        points,
        [Param(*one) for one in params.items()],
        [RunTag(*one) for one in tags.items()],
    )
    for point in points:
        keep(metric=point.key, step=point.step, value=point.value)
    for key, value in params.items():
        keep(param=key, value=value)
    keep(tag="team", value=name)
    client.ask("set_tag", run, "last", name)
    keep(tag="last", value=name)
    client.ask("set_terminated", run, "FINISHED")
    keep(status="finished")


if __name__ == "__main__":
    main(*sys.argv[1:])
