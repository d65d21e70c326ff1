"""Experiments that are there: list them, take them away, rename them, make branches of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.pipeline.experiments import refs, sharing
from assay.pipeline.experiments.queue import Entry, Queue
from assay.pipeline.experiments.refs import Experiment
from assay.project import git, revisions
from assay.project.revisions import Scope
from assay.project.workspace import Project


class Chosen(msgspec.Struct, frozen=True, kw_only=True):
    """Which experiments are removed.

    Attributes
    ----------
    queue : bool
        All that wait in the queue.
    remote : str or None
        Those of another git repository.
    keep : bool
        All others instead.
    """

    names: tuple[str, ...] = ()
    all_commits: bool = False
    rev: tuple[str, ...] = ()
    num: int | None = None
    queue: bool = False
    remote: str | None = None
    keep: bool = False


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """The experiments of one baseline, and what that is called."""

    baseline: str
    name: str
    experiments: list[Experiment]


def list_(project: Project, scope: Scope, *, remote: str | None = None) -> list[Group]:
    """Return experiments by baseline: those of HEAD where the scope is empty."""
    root = project.git_root
    known = refs.list_(root) if remote is None else sharing.list_(root, remote)
    if not scope.commits:
        if not scope:
            refs.require_baseline(root)
            scope = Scope(revisions=("HEAD",))
        baselines = revisions.commits(root, scope)
        known = [one for one in known if one.baseline in baselines]
    names = _names(root)
    groups: dict[str, list[Experiment]] = {}
    for one in known:
        groups.setdefault(one.baseline, []).append(one)
    return [
        Group(baseline=commit, name=names.get(commit, commit[:7]), experiments=found)
        for commit, found in groups.items()
    ]


def _names(root: Path) -> dict[str, str]:
    """Return what commits are called: by a branch, a tag, the branch that is checked out."""
    form = "--format=%(if)%(*objectname)%(then)%(*objectname)%(else)%(objectname)%(end) %(refname)"
    out = git.git("for-each-ref", form, "refs/heads/", "refs/tags/", cwd=root)
    rows = [line.split(" ", 1) for line in out.decode(errors="replace").splitlines()]
    found = {commit: ref.split("/", 2)[2] for commit, ref in rows}
    head, current = git.head(root), git.branch(root)
    return found | ({head: current} if head and current else {})


def remove(project: Project, chosen: Chosen) -> list[str]:
    """Remove experiments, and what waits in the queue under such a name; return the names.

    Raises
    ------
    Usage
        If nothing is named, or in two ways.
    NotFound
        If there is none of a name; then nothing is removed.
    """
    _check(chosen)
    root, queue = project.git_root, Queue(project)
    known = refs.list_(root) if chosen.remote is None else sharing.list_(root, chosen.remote)
    waiting = [] if chosen.remote is not None else queue.list_()
    found, tasks = _find(root, known, waiting, chosen)
    if chosen.keep:
        found, tasks = [one for one in known if one not in found], []
    if chosen.remote is not None:
        refused = sharing.remove(root, chosen.remote, found)
        if refused:
            why = "; ".join(f"'{name}': {what}" for name, what in refused.items())
            raise Error(f"'{chosen.remote}' refused {why}", where="git push")
    else:
        queue.remove(tasks)
        refs.remove(root, found)
    return list(dict.fromkeys([*(one.name for one in found), *(task.name for task in tasks)]))


def _check(chosen: Chosen) -> None:
    ways = {
        "names": bool(chosen.names),
        "'--all-commits'": chosen.all_commits,
        "'--rev'": bool(chosen.rev),
        "'--queue'": chosen.queue,
    }
    given = [way for way, is_given in ways.items() if is_given]
    if len(given) != 1:
        raise Usage(
            f"{' and '.join(given)}: one of them is enough"
            if given
            else "nothing says which experiments",
            hint="name them, or give '--rev', '--all-commits' or '--queue'",
        )
    if chosen.queue and (chosen.keep or chosen.remote):
        raise Usage("'--queue' takes neither '--keep' nor '--git-remote'")
    if chosen.num is not None and not chosen.rev:
        raise Usage("'--num' counts from a revision", hint="give '--rev REVISION'")


def _find(
    root: Path, known: Sequence[Experiment], waiting: Sequence[Entry], chosen: Chosen
) -> tuple[list[Experiment], list[Entry]]:
    if chosen.queue:
        return [], [entry for entry in waiting if entry.status == "queued"]
    if chosen.all_commits:
        return list(known), []
    if chosen.rev:
        scope = Scope(revisions=chosen.rev, n=chosen.num)
        baselines = set(revisions.commits(root, scope))
        return [one for one in known if one.baseline in baselines], []
    found, tasks = [], []
    for name in dict.fromkeys(chosen.names):
        here = [entry for entry in waiting if entry.name == name and entry.status != "success"]
        tasks += here
        try:
            found.append(refs.find(root, name, among=known, remote=chosen.remote))
        except NotFound:
            if not here:
                raise
    return found, tasks


def rename(project: Project, old: str, new: str, *, force: bool) -> None:
    """Give an experiment another name on its baseline."""
    root = project.git_root
    experiment = refs.find(root, old)
    if experiment.name == new:
        return
    replaces = refs.check_name(root, experiment.baseline, new, force=force)
    refs.rename(root, experiment, new, replaces=replaces)


def branch(project: Project, name: str, wanted: str | None) -> str:
    """Make a git branch of an experiment, and return what it is called.

    Raises
    ------
    Error
        If there is one of that name, or git takes no such name.
    """
    root = project.git_root
    experiment = refs.find(root, name)
    branch_name = wanted or f"{experiment.name}-branch"
    try:
        git.git("check-ref-format", "--branch", branch_name, cwd=root)
    except git.Failed as error:
        raise Usage(
            f"git takes no branch '{branch_name}'",
            hint="use letters, digits, '-', '_', '.' and '/'",
        ) from error
    ref = f"refs/heads/{branch_name}"
    if refs.commit_of(root, ref) is not None:
        raise Error(
            f"there is a branch '{branch_name}' already",
            where=root,
            hint=f"give another name: assay exp branch {name} NAME",
        )
    why = f"assay: created from experiment {experiment.name}"
    none = "0" * len(experiment.commit)
    git.git("update-ref", "-m", why, ref, experiment.commit, none, cwd=root)
    return branch_name


def applicable(project: Project, name: str) -> tuple[str, str | None]:
    """Return the commit to apply by a name: an experiment's, a waiting task's or git's.

    The second is the baseline of an experiment that was not tried on HEAD.
    """
    root = project.git_root
    head = refs.require_baseline(root)
    try:
        experiment = refs.find(root, name)
    except NotFound as error:
        entry = Queue(project).find(name)
        if entry is not None:
            return entry.commit, None if entry.task.baseline == head else entry.task.baseline
        try:
            return git.resolve(root, name), None
        except NotFound:
            raise error from None
    return experiment.commit, None if experiment.baseline == head else experiment.baseline
