"""What a factor is: some checks, each with its evidence, and the verdict that comes of them."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

Verdict = Literal["holds", "fails", "unknown"]

NAMES: dict[int, str] = {
    1: "code and data versioned",
    2: "explicit features",
    3: "configuration apart",
    4: "reproducible",
    5: "tested",
    6: "drift and retraining",
    7: "recorded",
    8: "pipelines, statistics",
    9: "no skew",
    10: "comparable",
    11: "monitored",
    12: "deployable",
}


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that a factor asks for.

    Attributes
    ----------
    ok : bool or None
        None where nothing is on record that would tell.
    text : str
        What was found, with the ids of where.
    next_step : str or None
        What a person can type; None where it is ok.
    """

    ok: bool | None
    text: str
    next_step: str | None = None


class Factor(msgspec.Struct, frozen=True, kw_only=True):
    """A factor with its verdict.

    Attributes
    ----------
    evidence : list of str
        What was found; what speaks against it comes first.
    next_step : str or None
        What a person can type; None where it holds.
    """

    number: int
    name: str
    verdict: Verdict
    evidence: list[str]
    next_step: str | None

    @property
    def holds(self) -> bool:
        """Whether it holds."""
        return self.verdict == "holds"


def judge(number: int, checks: Iterable[Check]) -> Factor:
    """Return a factor: it fails with one check that does, and holds where all are ok.

    Examples
    --------
    >>> judge(4, [Check(ok=True, text="a"), Check(ok=None, text="b", next_step="c")])
    Factor(number=4, name='reproducible', verdict='unknown', evidence=['b', 'a'], next_step='c')
    """
    order = {False: 0, None: 1, True: 2}
    found = sorted(checks, key=lambda check: order[check.ok])
    verdict: Verdict = "unknown"
    if found and found[0].ok is not None:
        verdict = "holds" if found[0].ok else "fails"
    steps = (check.next_step for check in found if not check.ok)
    return Factor(
        number=number,
        name=NAMES[number],
        verdict=verdict,
        evidence=[check.text for check in found],
        next_step=next((step for step in steps if step is not None), None),
    )
