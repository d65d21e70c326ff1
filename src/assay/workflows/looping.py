"""What `assay loop`, `retrain` and `decisions` do: the loop of an endpoint, opened."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from assay.base.errors import Negative, NotFound, Usage, did_you_mean
from assay.loop import declared as declared_loops
from assay.loop import loop as loops
from assay.loop.loop import Loop, Tell
from assay.project import declaration, git
from assay.project.declaration import Declaration
from assay.project.holding import Held
from assay.project.settings import ledger_where
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.decisions import Decision


@contextmanager
def opened(
    project: Project, endpoint: str | None, *, branch: str | None = None, tell: Tell
) -> Iterator[Loop]:
    """Give the loop of an endpoint, by default of the declared one.

    What is declared is what is committed: somebody may be editing.
    """
    from assay.ledger.database import open_ledger

    commit = git.resolve(project.git_root, branch or "HEAD")
    declared = declaration.read_at(project, commit)
    source = loops.source_branch(project, branch, declared)
    if (caution := loops.uncommitted(project, source)) is not None:
        tell({"event": "note", "message": caution})
    for where, what in declared_loops.check(project, declared):
        tell({"event": "note", "message": f"warning: {where}: {what}"})
    with open_ledger(ledger_where(project), create=False) as ledger:
        name = _name(ledger, endpoint, declared)
        yield Loop(project=project, ledger=ledger, endpoint=name, branch=source, tell=tell)


def _name(ledger: Ledger, endpoint: str | None, declared: Declaration) -> str:
    """Return the endpoint that is meant, which is declared or was deployed to."""
    from assay.deploy.endpoints import endpoints

    if endpoint is None:
        if declared.deploy is None:
            raise Usage(
                "it is not said which endpoint is meant",
                hint=f"name it, or write 'deploy: {{endpoint: NAME}}' into {declaration.FILE}, "
                "and commit that",
            )
        return declared.deploy.endpoint
    known = [*endpoints(ledger), *([declared.deploy.endpoint] if declared.deploy else [])]
    if endpoint not in known:
        raise NotFound(
            f"nothing was ever deployed to '{endpoint}'",
            hint=did_you_mean(endpoint, known) or "'assay deployments list' shows all endpoints",
        )
    return endpoint


def retrain(loop: Loop, *, reason: str | None) -> tuple[Decision, bool]:
    """Retrain by hand: here, or by the loop that runs, which then goes on with it.

    Returns the decision, and whether it was done here.
    """
    try:
        with loops.only_loop(loop.project, loop.endpoint):
            return loops.go_on(loop, loops.by_hand(loop, reason=reason)), True
    except Negative as error:
        if not isinstance(error.__cause__, Held):
            raise
    return loops.by_hand(loop, reason=reason), False
