"""What the gate said of a version, and what that means for who deploys it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from assay.base.errors import Negative, Usage

if TYPE_CHECKING:
    from assay.ledger.models import Version

VERDICT = "verdict"
"""The tag of a version with the gate's answer."""


def refused(version: Version) -> bool:
    """Return whether the gate refused a version."""
    return version.tags.get(VERDICT) == "fail"


def check_force(version: Version, reason: str | None, *, force: bool) -> None:
    """Refuse to deploy what the gate refused, unless it is forced and said why.

    Raises
    ------
    Negative
        If it is not forced.
    Usage
        If there is no reason.
    """
    name = _name_of(version)
    if not force:
        raise Negative(
            f"the gate refused {name}: it is not deployed",
            hint=f"see 'assay model show {name}'; to deploy it all the same, say why: --force "
            "--reason TEXT",
        )
    if not (reason or "").strip():
        raise Usage(
            f"the gate refused {name}; to deploy it all the same needs a reason",
            hint="say why: --force --reason TEXT",
        )


def caution(version: Version) -> str | None:
    """Say that the gate has not let a version pass; None where it has, or refused it.

    A version may be deployed all the same: a first one has nothing to be compared with.
    """
    verdict, name = version.tags.get(VERDICT), _name_of(version)
    judge = f"'assay gate {version.model}@{version.number}'"
    if verdict is None:
        return f"{name} was never judged by the gate: {judge} does"
    if verdict == "inconclusive":
        return f"the gate could not tell whether {name} is good enough: {judge} says why"
    return None


def _name_of(version: Version) -> str:
    return f"{version.model}/{version.number}"
