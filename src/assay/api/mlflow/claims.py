"""The run or experiment that a call is about, or the error of MLflow's that there is none."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.api.mlflow import keys
from assay.api.mlflow.errors import Refused, invalid, missing
from assay.base.clock import now_ms
from assay.ledger import experiments, recording
from assay.ledger.rows import ENDED

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.experiments import Experiment, Place
    from assay.ledger.recording import Claim


def run(connection: Connection, run_id: str) -> Claim:
    """Return a run, deleted or not; no other writer changes it before the transaction ends.

    Raises
    ------
    Refused
        If there is none.
    """
    found = recording.claim(connection, run_id)
    if found is None:
        raise no_run(run_id)
    return found


def active_run(connection: Connection, run_id: str) -> Claim:
    """Return a run that may be written; one that has ended is marked as changed.

    Raises
    ------
    Refused
        If there is none, or it is deleted.
    """
    found = run(connection, run_id)
    if found.deleted is not None:
        raise invalid(f"The run {run_id} must be in the 'active' state. Current state is deleted.")
    if found.status in ENDED:
        recording.touch(connection, run_id, at=now_ms())
    return found


def experiment(connection: Connection, experiment_id: str) -> Experiment:
    """Return an experiment, deleted or not.

    Raises
    ------
    Refused
        If there is none, or its id is no number.
    """
    number = keys.experiment_number(experiment_id)
    found = experiments.find(connection, number)
    if found is None:
        raise no_experiment(experiment_id)
    return found


def active_experiment(connection: Connection, experiment_id: str) -> Place:
    """Return an experiment that may be written.

    Raises
    ------
    Refused
        If there is none, or it is deleted.
    """
    found = experiments.place(connection, keys.experiment_number(experiment_id))
    if found is None:
        raise no_experiment(experiment_id)
    if found.deleted is not None:
        raise invalid(
            f"The experiment {found.id} must be in the 'active' state. Current state is deleted."
        )
    return found


def no_run(run_id: str) -> Refused:
    """Return the error of a run that is not there."""
    return missing(f"Run with id={run_id[:256]} not found")


def no_experiment(experiment_id: str) -> Refused:
    """Return the error of an experiment that is not there."""
    return missing(f"No Experiment with id={experiment_id[:80]} exists")
