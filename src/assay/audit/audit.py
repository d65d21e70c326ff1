"""The audit: all twelve factors of what an endpoint answers with, each by evidence on record."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import msgspec

from assay.audit import code, data, model, served, tested
from assay.audit.factors import Check, Factor, judge
from assay.audit.subject import Subject
from assay.base.errors import Error
from assay.project.settings import ledger_where
from assay.project.workspace import Project

FACTORS: dict[int, Callable[[Subject], Iterator[Check]]] = {
    1: code.versioned,
    2: data.explicit,
    3: code.configured,
    4: code.reproducible,
    5: tested.tested,
    6: served.watched,
    7: model.recorded,
    8: data.profiled,
    9: served.unskewed,
    10: model.comparable,
    11: served.monitored,
    12: model.deployable,
}


class Audit(msgspec.Struct, frozen=True, kw_only=True):
    """The factors of an endpoint, or of a project that has none yet.

    Attributes
    ----------
    endpoint, version, bundle, run : str or None
        What was looked at: where it answers, `MODEL/3`, the id of its bundle, the id of its run.
    at : int
        When, in Unix milliseconds.
    n_holds : int
        How many factors hold.
    """

    endpoint: str | None
    version: str | None
    bundle: str | None
    run: str | None
    at: int
    n_holds: int
    factors: list[Factor]


def audit(project: Project, *, endpoint: str | None = None, now_ms: int) -> Audit:
    """Look up the evidence for all twelve factors; nothing is asked, run or written.

    Parameters
    ----------
    endpoint : str, optional
        By default the declared one, or the only one that something was deployed to.

    Raises
    ------
    NotFound
        If nothing was ever deployed to the endpoint that is named.
    """
    from assay.ledger.database import open_ledger

    given = os.environ.get("ASSAY_LEDGER") or ledger_where(project)
    with tempfile.TemporaryDirectory() as empty:
        # where no run was recorded yet, an empty ledger answers; none is made in the project
        is_there = "://" in str(given) or Path(given).exists()
        with open_ledger(given if is_there else Path(empty) / "ledger.db") as ledger:
            subject = Subject(project, ledger, endpoint=endpoint)
            factors = [_factor(number, subject) for number in FACTORS]
            return Audit(
                endpoint=subject.endpoint,
                version=subject.name or None,
                bundle=subject.version.bundle if subject.version else None,
                run=subject.whole.id if subject.whole else None,
                at=now_ms,
                n_holds=sum(factor.holds for factor in factors),
                factors=factors,
            )


def _factor(number: int, subject: Subject) -> Factor:
    """Look up one factor; evidence that cannot be read tells nothing."""
    try:
        return judge(number, FACTORS[number](subject))
    except Error as error:
        where = "" if error.where is None else f" ({error.where})"
        text = f"the evidence cannot be read: {error.what}{where}"
        return judge(number, [Check(ok=None, text=text, next_step=error.hint)])
