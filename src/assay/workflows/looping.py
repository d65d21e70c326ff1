"""What `assay loop`, `retrain` and `decisions` do: the loop of an endpoint, opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from assay.loop import loop as loops
from assay.loop.loop import Loop, Tell
from assay.project import declaration
from assay.project.holding import Held
from assay.project.workspace import Project
from assay.workflows.models import target

if TYPE_CHECKING:
    from assay.ledger.decisions import Decision


@contextmanager
def opened(
    project: Project, endpoint: str | None, *, branch: str | None = None, tell: Tell
) -> Iterator[Loop]:
    """Give the loop of an endpoint, by default of the declared one."""
    from assay.ledger.database import open_ledger

    name, _ = target(project, endpoint)
    source = loops.source_branch(project, branch, declaration.read(project))
    if (caution := loops.uncommitted(project, source)) is not None:
        tell({"event": "note", "message": caution})
    with open_ledger(project.ledger_path, create=False) as ledger:
        yield Loop(project=project, ledger=ledger, endpoint=name, branch=source, tell=tell)


def retrain(loop: Loop, *, reason: str | None) -> tuple[Decision, bool]:
    """Retrain by hand: here, or by the loop that runs, which then goes on with it.

    Returns the decision, and whether it was done here.
    """
    from assay.base.errors import Negative

    try:
        with loops.only_loop(loop.project, loop.endpoint):
            return loops.go_on(loop, loops.by_hand(loop, reason=reason)), True
    except Negative as error:
        if not isinstance(error.__cause__, Held):
            raise
    return loops.by_hand(loop, reason=reason), False
