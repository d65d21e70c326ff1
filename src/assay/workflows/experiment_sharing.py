"""Experiments and their data, to and from where a team shares them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error
from assay.pipeline.experiments import refs, sharing
from assay.pipeline.experiments.refs import Experiment
from assay.pipeline.experiments.sharing import Shared
from assay.project import revisions
from assay.project.revisions import Scope
from assay.project.workspace import Project
from assay.workflows import transfers
from assay.workflows.data import Targets
from assay.workflows.transfers import Request, Synced

_Move = Callable[[Project, Request], Synced]


class Sharing(msgspec.Struct, frozen=True, kw_only=True):
    """Which experiments are moved, and how.

    Attributes
    ----------
    names : tuple of str
        Experiments; those of some baselines, by default HEAD, where there are none.
    remote : str or None
        The remote of the data.
    """

    names: tuple[str, ...] = ()
    all_commits: bool = False
    rev: tuple[str, ...] = ()
    num: int | None = None
    force: bool = False
    no_cache: bool = False
    remote: str | None = None
    jobs: int | None = None
    run_cache: bool = False


class Moved(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the references, and of the data."""

    refs: Shared
    data: Synced | None = None


def push(project: Project, git_remote: str, asked: Sharing) -> Moved:
    """Send experiments to another git repository, and their data to a remote."""
    root = project.git_root
    chosen = choose(root, refs.list_(root), asked)
    shared = sharing.push(root, git_remote, chosen, force=asked.force)
    return Moved(refs=shared, data=_data(project, shared, asked, transfers.push))


def pull(project: Project, git_remote: str, asked: Sharing) -> Moved:
    """Get experiments from another git repository, and their data from a remote."""
    root = project.git_root
    chosen = choose(root, sharing.list_(root, git_remote), asked, remote=git_remote)
    shared = sharing.fetch(root, git_remote, chosen, force=asked.force)
    return Moved(refs=shared, data=_data(project, shared, asked, transfers.fetch))


def choose(
    root: Path, known: Sequence[Experiment], asked: Sharing, *, remote: str | None = None
) -> list[Experiment]:
    """Return the experiments that are meant, out of those that there are.

    Parameters
    ----------
    remote : str, optional
        The git repository that has them, where it is another one.

    Raises
    ------
    NotFound
        If there is none of a name; with the nearest.
    """
    if asked.all_commits:
        return list(known)
    if asked.names:
        names = dict.fromkeys(asked.names)
        return [refs.find(root, name, among=known, remote=remote) for name in names]
    refs.require_baseline(root)
    scope = Scope(revisions=asked.rev or ("HEAD",), n=asked.num)
    baselines = set(revisions.commits(root, scope))
    return [one for one in known if one.baseline in baselines]


def _data(project: Project, shared: Shared, asked: Sharing, move: _Move) -> Synced | None:
    """Move the data of experiments; of those that were there already, too: theirs may be not."""
    commits = tuple(one.commit for one in (*shared.moved, *shared.present))
    if asked.no_cache or not commits:
        return None
    request = Request(
        targets=Targets(cwd=project.root),
        scope=Scope(revisions=commits),
        remote=asked.remote,
        jobs=asked.jobs,
        run_cache=asked.run_cache,
        workspace=False,
    )
    try:
        return move(project, request)
    except Error as error:
        names = ", ".join(one.name for one in (*shared.moved, *shared.present))
        raise Error(
            f"the references of {names} were moved, their data not: {error.what}",
            where=error.where,
            hint=f"{error.hint or 'mend that, then run it again'}; or leave data: --no-cache",
        ) from error
