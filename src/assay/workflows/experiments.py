"""Experiments: run one in the workspace or in a work tree of its own, or keep what is there.

Each is a run in the ledger by the `repro` that it is, tagged with its name and baseline. Results
become a commit beside HEAD; a person's index, branch and untracked files are not touched.
"""

from __future__ import annotations

import contextlib
import os
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error, NotFound, Usage
from assay.base.files import write_atomic
from assay.base.signals import interrupts_on_terminate
from assay.pipeline.experiments import (
    commit,
    names,
    overrides,
    param_files,
    present,
    refs,
    worktree,
)
from assay.pipeline.experiments.grammar import Override
from assay.pipeline.experiments.overrides import Overrides
from assay.pipeline.experiments.refs import Experiment
from assay.project import definition, git
from assay.project.holding import holding
from assay.project.settings import ledger_where
from assay.project.stages import Stage
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.pipeline.repro import Events, Outcome


_TRUE = frozenset({"1", "y", "yes", "true", "on"})


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be tried.

    Attributes
    ----------
    name : str or None
        Its name; one is made up where none is given.
    overrides : mapping
        What changes in the parameter files, which are named relative to `cwd`.
    copy : tuple of str
        What git does not have and a work tree needs, relative to the root of the project.
    force : bool
        Also take the place of an experiment of this name.
    options : dict
        The keywords of `repro`.
    """

    targets: tuple[str, ...] = ()
    name: str | None = None
    overrides: Overrides = {}
    message: str | None = None
    copy: tuple[str, ...] = ()
    force: bool = False
    options: dict[str, Any] = {}


class Ran(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment that was run.

    Attributes
    ----------
    outcome : Outcome
        What `repro` did.
    complaints : list of str
        Why a table could not be profiled.
    left_out : list of str
        Untracked files that are not part of it.
    """

    experiment: Experiment
    outcome: Outcome
    complaints: list[str]
    left_out: list[str]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """An experiment that can begin: its name is free, and its parameter files are thought out."""

    name: str
    baseline: str
    replaces: str | None = None
    texts: dict[Path, str] = {}
    changes: str = ""
    command: str = ""


def prepare(project: Project, request: Request, *, cwd: Path, taken: Sequence[str] = ()) -> Plan:
    """Check that an experiment can begin; nothing is written.

    Parameters
    ----------
    taken : sequence of str
        Names that cannot be made up, such as those that wait in the queue.

    Raises
    ------
    Error
        If there is no commit, the name is taken or bad, or a parameter is not there.
    """
    root = project.git_root
    if not project.uses_git:
        raise Error(
            "experiments are kept by git, and this project does without it",
            where=project.root,
            hint="run 'git init' and commit, then 'assay init --force'",
        )
    baseline = refs.require_baseline(root)
    if request.name is None:
        known = {one.name for one in refs.list_(root, baselines=[baseline])}
        name, replaces = names.free_name(known | set(taken)), None
    else:
        name = request.name
        replaces = refs.check_name(root, baseline, name, force=request.force)
    texts = param_files.rewritten(_files(project, request.overrides, cwd=cwd))
    worktree.check_copies(project, request.copy)
    return Plan(
        name=name,
        baseline=baseline,
        replaces=replaces,
        texts=texts,
        changes=overrides.describe(request.overrides),
        command=_command(name, request),
    )


def _command(name: str, request: Request) -> str:
    """Return the command line that makes an experiment, for the ledger."""
    changes = overrides.arguments(request.overrides)
    return shlex.join(["assay", "exp", "run", "--name", name, *changes, *request.targets])


def _files(
    project: Project, changes: Overrides, *, cwd: Path
) -> dict[Path, tuple[str, list[Override]]]:
    """Return the changes by file, each with its name; one that is named in two ways is one.

    A name is relative to where a person is, or else to the root of the project.
    """
    found: dict[Path, tuple[str, list[Override]]] = {}
    for name, given in changes.items():
        here = cwd if (cwd / name).exists() else project.root
        path = Path(os.path.realpath(here / name))
        if Path(os.path.realpath(project.git_root)) not in path.parents:
            raise Usage(
                "the parameter file does not lie in the repository, so no experiment can have it",
                where=name,
                hint="copy it into the project",
            )
        found.setdefault(path, (name, []))[1].extend(given)
    return found


def run_here(project: Project, request: Request, *, cwd: Path, events: Events) -> Ran:
    """Run an experiment in the workspace; what it made stays there as uncommitted changes."""
    with _one_at_a_time(project):
        plan = prepare(project, request, cwd=cwd)
        way_back = param_files.way_back(project, plan.texts, plan.changes, cwd=cwd)
        try:
            for path, text in plan.texts.items():
                write_atomic(path, text)
            events.say(_announced(plan))
            return _go(project, project, plan, request, cwd=cwd, events=events)
        except BaseException:
            if way_back is not None:
                events.say(way_back)
            raise


def run_apart(project: Project, request: Request, *, cwd: Path, events: Events) -> Ran:
    """Run an experiment in a work tree of its own; the workspace stays as it is."""
    plan = prepare(project, request, cwd=cwd)
    tree = tree_of(project, plan)
    return run_tree(project, plan, tree, request, cwd=cwd, events=events)


def dry(project: Project, request: Request, *, cwd: Path) -> Outcome:
    """Say what running an experiment would do, without doing it."""
    from assay.workflows import pipeline

    plan = prepare(project, request, cwd=cwd)
    tree = tree_of(project, plan)
    with worktree.temporary(
        project, tree, baseline=plan.baseline, name=plan.name, copy=request.copy
    ) as there:
        return pipeline.dry(
            there, request.targets, cwd=_place(project, there, cwd), force=request.force,
            **request.options,
        )  # fmt: skip


def run_tree(
    project: Project, plan: Plan, tree: str, request: Request, *, cwd: Path, events: Events
) -> Ran:
    """Run an experiment whose files are a git tree already."""
    events.say(_announced(plan))
    with (
        interrupts_on_terminate(),
        worktree.temporary(
            project, tree, baseline=plan.baseline, name=plan.name, copy=request.copy
        ) as there,
    ):
        place = _place(project, there, cwd)
        return _go(project, there, plan, request, cwd=place, events=events)


def _place(project: Project, there: Project, cwd: Path) -> Path:
    """Return where a person's folder is in another work tree."""
    place = there.root / cwd.relative_to(project.root)
    return place if place.is_dir() else there.root


def tree_of(project: Project, plan: Plan) -> str:
    """Return the git tree that an experiment begins with: tracked files, changed parameters."""
    return commit.snapshot(project, texts=plan.texts)


def save(
    project: Project,
    targets: Sequence[str],
    *,
    cwd: Path,
    name: str | None = None,
    message: str | None = None,
    include: Sequence[str] = (),
    force: bool = False,
) -> tuple[Experiment, list[str]]:
    """Keep the workspace as it is as an experiment, with its data; no stage runs.

    Returns the experiment, and the untracked files that are not part of it.

    Raises
    ------
    Error
        If data or parameters that a stage needs are not there.
    """
    with _one_at_a_time(project):
        plan = prepare(project, Request(name=name, force=force), cwd=cwd)
        also = [_in_git(project, cwd / path) for path in include]
        declared = definition.read(project)
        chosen = [s for t in targets for s in declared.find(t, cwd=cwd)] or declared.all
        entries = present.record(declared, chosen)
        return _keep(project, plan, entries, list(declared.stages), message=message, also=also)


def _in_git(project: Project, path: Path) -> str:
    """Return a file of a person's as git names it."""
    if not path.exists():
        raise NotFound("there is no such file", where=path, hint="check '--include-untracked'")
    return os.path.relpath(path, project.git_root)


def _announced(plan: Plan) -> str:
    return f"Reproducing experiment '{plan.name}'" + (f": {plan.changes}" if plan.changes else "")


@contextlib.contextmanager
def _one_at_a_time(project: Project) -> Iterator[None]:
    """Let no two experiments share one work tree: the second waits."""
    folder = project.dvc_dir / "tmp"
    folder.mkdir(exist_ok=True)
    with holding(folder / "assay-experiment.lock"):
        yield


def _go(
    project: Project,
    there: Project,
    plan: Plan,
    request: Request,
    *,
    cwd: Path,
    events: Events,
) -> Ran:
    from assay.workflows import pipeline

    variables = {"DVC_EXP_BASELINE_REV": plan.baseline, "DVC_EXP_NAME": plan.name}
    outcome, complaints = pipeline.repro(
        there,
        request.targets,
        cwd=cwd,
        events=events,
        force=request.force,
        env=variables,
        name=plan.name,
        command=plan.command or None,
        tags={"experiment": plan.name, "baseline": plan.baseline},
        **request.options,
    )
    declared = definition.read(there)
    made = {one.stage for one in outcome.stages if one.state in {"ran", "restored"}}
    done = [stage for stage in declared.stages if stage.address in made]
    entries = {stage.name: entry for stage in done if (entry := declared.entry(stage)) is not None}
    experiment, left_out = _keep(
        there, plan, entries, list(declared.stages), message=request.message
    )
    if outcome.run is not None:
        _tag(project, outcome.run, experiment)
    complaints = [*complaints, *_push(project, experiment)]
    return Ran(experiment=experiment, outcome=outcome, complaints=complaints, left_out=left_out)


def _push(project: Project, experiment: Experiment) -> list[str]:
    """Send an experiment to a git repository, where `exp.auto_push` says so; return why not."""
    asked = os.environ.get("DVC_EXP_AUTO_PUSH")
    is_on = project.config.flag("exp", "auto_push") if asked is None else asked.lower() in _TRUE
    if not is_on:
        return []
    from assay.workflows import experiment_sharing
    from assay.workflows.experiment_sharing import Sharing

    remote = os.environ.get("DVC_EXP_GIT_REMOTE") or project.config.get("exp", "git_remote")
    one = Sharing(names=(experiment.ref,), run_cache=True)
    try:
        moved = experiment_sharing.push(project, remote or "origin", one)
    except Error as error:
        return [f"it was not pushed, as 'exp.auto_push' asks: {error.what}"]
    refused = [f"it was not pushed: {why}" for why in moved.refs.refused.values()]
    return refused or [f"it was pushed to '{remote or 'origin'}', as 'exp.auto_push' asks"]


def _keep(
    there: Project,
    plan: Plan,
    entries: Mapping[str, Any],
    stages: Sequence[Stage],
    *,
    message: str | None,
    also: Sequence[str] = (),
) -> tuple[Experiment, list[str]]:
    """Commit a work tree as an experiment; return it, and what is untracked and not part of it."""
    untracked = git.untracked(there.git_root)
    named = _named(there, stages) | set(plan.texts)
    add = [name for name in untracked if _is_named(there.git_root / name, named)]
    tree = commit.snapshot(there, add=[*add, *also])
    made = commit.make(
        there.git_root,
        tree,
        parent=plan.baseline,
        message=message or commit.message_of(entries),
    )
    experiment = Experiment(name=plan.name, baseline=plan.baseline, commit=made)
    refs.put(there.git_root, experiment, replaces=plan.replaces)
    parts = {*add, *also}
    return experiment, [name for name in untracked if name not in parts]


def _named(there: Project, stages: Sequence[Stage]) -> set[Path]:
    """Return the files that the pipeline names and git is to have: records, code, parameters."""
    declared = definition.read(there)
    found = {path for stage in stages for path in (stage.file, stage.file.with_suffix(".lock"))}
    for stage in stages:
        found |= {stage.path(dep) for dep in stage.deps}
        found |= {stage.path(dep.file) for dep in stage.params}
        found |= {stage.path(out.path) for out in stage.outs if not out.cache}
        found |= {stage.path(out.path).parent / ".gitignore" for out in stage.outs if out.cache}
    for file in declared.files:
        for name in (*file.params, *file.metrics):
            found.add(Path(os.path.normpath(file.path.parent / name)))
    found |= {stage.file for stage in declared.data}
    data = {item.path for item in declared.tracked if item.out.cache}
    return found - data


def _is_named(path: Path, named: set[Path]) -> bool:
    return path in named or not named.isdisjoint(path.parents)


def _tag(project: Project, run: str, experiment: Experiment) -> None:
    from assay.ledger.database import open_ledger
    from assay.ledger.writer import Writer

    with open_ledger(ledger_where(project)) as ledger:
        Writer(ledger).set_tags(run, {"experiment_commit": experiment.commit})
