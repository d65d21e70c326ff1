"""The things that can be traced; `assay.trace.naming` finds the one that a person means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from assay.base.errors import Error

if TYPE_CHECKING:
    from assay.ledger.runs import Run
    from assay.trace.run_facts import RunFacts

Kind = Literal[
    "run", "data", "metric", "bundle", "logged_model", "version", "deployment", "prediction",
    "alert", "decision",
]  # fmt: skip


class Thing(msgspec.Struct, frozen=True, kw_only=True):
    """A run, a content, a metric, a model in one of its forms, or what became of it.

    Attributes
    ----------
    id : str
        `run:ID`, `data:md5:…`, `metric:RUN/NAME`, `metric:md5:…/KEY`, `bundle:sha256:…`,
        `logged_model:m-…`, `version:MODEL/N`, `deployment:ID`, `prediction:ID`, `alert:ID` or
        `decision:ID`.
    path : str or None
        Where a content lies, relative to the project.
    run : str or None
        The run that a metric belongs to.
    source : str or None
        What a prediction was answered by; the content that a metric was read from.
    kept : str or None
        The other hash of a content, by which runs keep artifacts; None where none is of its size.
        A metric that was read from a file has that of the file.
    truth : mapping or None
        What a prediction should have been, see `assay.trace.truth.Truth`; None until it is known.
    """

    kind: Kind
    id: str
    label: str
    path: str | None = None
    run: str | None = None
    source: str | None = None
    kept: str | None = None
    truth: dict[str, Any] | None = None


def of_run(run: Run | RunFacts) -> Thing:
    """Return a run as a thing."""
    what = f"stage '{run.stage}'" if run.kind == "stage" else f"{run.kind} '{run.name}'"
    status = "" if run.status == "finished" else f", {run.status}"
    if getattr(run, "deleted", None) is not None:
        status += ", deleted"
    return Thing(kind="run", id=f"run:{run.id}", label=f"run {run.id[:13]}: {what}{status}")


def of_data(oid: str, *, path: str, kept: str | None = None) -> Thing:
    """Return a content as a thing.

    Parameters
    ----------
    oid : str
        Its hash with its algorithm before it, or the digest that a client gave.
    kept : str, optional
        Its other hash, see `Thing`.
    """
    algorithm, colon, digest = oid.rpartition(":")
    short = f"{algorithm}{colon}{digest[:8]}"
    return Thing(kind="data", id=f"data:{oid}", label=f"{path}  {short}", path=path, kept=kept)


def run_id(thing: Thing) -> str:
    """Return the id of the run that a thing is or belongs to."""
    if thing.kind == "run":
        return thing.id.removeprefix("run:")
    if thing.run is None:
        raise Error(f"'{thing.label}' belongs to no run")
    return thing.run
