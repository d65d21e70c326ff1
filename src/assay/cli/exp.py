"""`exp`: run and keep experiments; `exp_show` shows them, `exp_sharing` shares them."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.clock import duration
from assay.base.errors import Error, Usage
from assay.base.progress import counted
from assay.cli.exp_sharing import pull_command, push_command
from assay.cli.exp_show import diff_command, list_command, show_command
from assay.cli.options import targets_argument, with_options
from assay.cli.output import did, json_option, note
from assay.cli.repro import confirm, make_events
from assay.project import workspace

if TYPE_CHECKING:
    from assay.project.workspace import Project
    from assay.workflows.experiments import Ran, Request


@click.group("exp")
def exp_group() -> None:
    """Run, compare and share experiments."""


exp_group.add_command(show_command)
exp_group.add_command(list_command)
exp_group.add_command(diff_command)
exp_group.add_command(push_command)
exp_group.add_command(pull_command)

_repro_options = with_options(
    click.option("-s", "--single-item", "single", is_flag=True, help="Only the targets."),
    click.option("-p", "--pipeline", is_flag=True, help="All that hangs together with them."),
    click.option("-P", "--all-pipelines", is_flag=True, help="All stages of the project."),
    click.option("-R", "--recursive", is_flag=True, help="A folder names the stages in it."),
    click.option("--downstream", is_flag=True, help="The targets and what depends on them."),
    click.option("--force-downstream", is_flag=True, help="What follows on a run, too."),
    click.option("--allow-missing", is_flag=True, help="What is only missing is no change."),
    click.option("-k", "--keep-going", is_flag=True, help="Run what a failure does not touch."),
    click.option("--ignore-errors", is_flag=True, help="Run everything, whatever fails."),
    click.option("-i", "--interactive", is_flag=True, help="Ask before each stage that runs."),
    click.option("--pull", is_flag=True, help="Get missing data from the remote."),
    click.option("--strict", is_flag=True, help="A stage that hides what it reads fails (Linux)."),
)  # fmt: skip
_message_option = click.option(
    "-m", "-M", "--message", metavar="TEXT", help="The message of its commit."
)


@exp_group.command("run")
@targets_argument
@click.option("-n", "--name", metavar="NAME", help="Its name; one is made up without it.")
@click.option(
    "-S", "--set-param", "set_params", multiple=True, metavar="[FILE:]KEY=VALUE",
    help="Set a parameter: 'lr=0.1'; '+key=1' adds one, '~key' deletes one.",
)  # fmt: skip
@click.option("--queue", is_flag=True, help="Let it wait; 'assay queue start' runs it.")
@click.option("--run-all", is_flag=True, help="Run all that wait, and show what they print.")
@click.option("-j", "--jobs", type=click.IntRange(min=1), default=1, metavar="N",
              help="Waiting experiments that run at a time.")  # fmt: skip
@click.option("--temp", is_flag=True, help="Run in a work tree of its own.")
@click.option("-C", "--copy-paths", "copy", multiple=True, metavar="PATH",
              help="Copy what git does not have into that work tree.")  # fmt: skip
@_message_option
@click.option("-f", "--force", is_flag=True,
              help="Run every stage, and replace an experiment of this name.")  # fmt: skip
@_repro_options
@click.option("--dry", is_flag=True, help="Say what would run, and run nothing.")
@click.option("--no-hydra", is_flag=True, help="Do not mind that 'hydra.enabled' is set.")
@json_option
def run_command(
    queue: bool, run_all: bool, jobs: int, temp: bool, dry: bool, as_json: bool, **given: Any
) -> int:
    """Run an experiment, and keep its results.

    They become a commit beside the branch. It runs in the workspace, where the results stay as
    uncommitted changes; with '--temp' or '--queue' in a work tree of its own. A sweep such as
    -S 'lr=0.1,0.2' or -S 'n=range(1,4)' needs '--queue': each combination is one experiment.
    """
    from assay.pipeline.experiments import overrides
    from assay.workflows import experiments

    project = workspace.find()
    if run_all:
        from assay.cli.queue import run_all as run_waiting

        return run_waiting(project, jobs)
    _refuse_hydra(project, is_off=given.pop("no_hydra"))
    is_asked = given.pop("interactive")
    request = _request(given)
    if queue:
        if is_asked:
            raise Usage("'--interactive' and '--queue' exclude each other")
        return _put(project, request, as_json=as_json)
    if overrides.is_sweep(request.overrides):
        raise Usage(
            f"'{overrides.describe(request.overrides)}' stands for several experiments",
            where="--set-param",
            hint="queue them: add '--queue', then 'assay queue start'",
        )
    if request.copy and not temp:
        raise Usage(
            "'--copy-paths' is for a work tree of its own", hint="add '--temp' or '--queue'"
        )
    if is_asked or project.config.flag("core", "interactive"):
        request.options["confirm"] = confirm
    events = make_events(as_json=as_json)
    if dry:
        return _dry(project, request, as_json=as_json)
    run = experiments.run_apart if temp else experiments.run_here
    ran = run(project, request, cwd=Path.cwd(), events=events)
    did(_document(ran), as_json=as_json, text=ran_lines(ran, in_workspace=not temp))
    show_notes(ran)
    return 0


def _refuse_hydra(project: Project, *, is_off: bool) -> None:
    if project.config.flag("hydra", "enabled") and not is_off:
        raise Error(
            "'hydra.enabled' asks for parameters that Hydra composes, which is not done here",
            where=project.dvc_dir / "config",
            hint="take params.yaml as it is with '--no-hydra', or run this one with dvc",
        )


def _request(given: dict[str, Any]) -> Request:
    """Return what a person asked for; the options that are left are those of `repro`."""
    from assay.pipeline.experiments import overrides
    from assay.workflows.experiments import Request

    return Request(
        targets=given.pop("targets"),
        name=given.pop("name"),
        overrides=overrides.parse(given.pop("set_params")),
        message=given.pop("message"),
        copy=given.pop("copy"),
        force=given.pop("force"),
        options={key: value for key, value in given.items() if value},
    )


def _put(project: Project, request: Request, *, as_json: bool) -> int:
    from assay.workflows import experiment_queue

    entries = experiment_queue.put(project, request, cwd=Path.cwd())
    lines = [
        f"Queued '{entry.name}'" + (f": {entry.task.overrides}" if entry.task.overrides else "")
        for entry in entries
    ]
    document = [{"name": entry.name, "task": entry.commit} for entry in entries]
    did(document, as_json=as_json, text="\n".join(lines))
    if not as_json:
        note("Run what waits with 'assay queue start', and see 'assay queue status'.")
    return 0


def _dry(project: Project, request: Request, *, as_json: bool) -> int:
    from assay.workflows import experiments

    outcome = experiments.dry(project, request, cwd=Path.cwd())
    width = max((len(done.stage) for done in outcome.stages), default=0)
    lines = [
        f"{done.stage:<{width}}  {done.state}{f': {done.why}' if done.why else ''}"
        for done in outcome.stages
    ]
    did({"stages": outcome.stages}, as_json=as_json, text="\n".join(lines))
    return 0


def _document(ran: Ran) -> dict[str, Any]:
    return {
        "name": ran.experiment.name,
        "commit": ran.experiment.commit,
        "baseline": ran.experiment.baseline,
        "ref": ran.experiment.ref,
        "run": ran.outcome.run,
        "stages": ran.outcome.stages,
        "left_out": ran.left_out,
    }


def ran_lines(ran: Ran, *, in_workspace: bool) -> str:
    """Return what a person is told of an experiment that ran."""
    done = [one for one in ran.outcome.stages if one.state == "ran"]
    back = [one.stage for one in ran.outcome.stages if one.state == "restored"]
    parts = []
    if done:
        seconds = duration(sum(one.seconds for one in done))
        parts.append(f"{', '.join(one.stage for one in done)} in {seconds}")
    if back:
        parts.append(f"restored {', '.join(back)}")
    what = "; ".join(parts) or "nothing had to run"
    lines = [f"Ran experiment '{ran.experiment.name}': {what}."]
    if ran.outcome.run is not None:
        lines.append(f"Recorded as run {ran.outcome.run}.")
    if in_workspace:
        lines.append("Its results are in the workspace.")
    else:
        lines.append(f"Its results: assay exp apply {ran.experiment.name}")
    return "\n".join(lines)


def show_notes(ran: Ran) -> None:
    """Say what a person may have missed in an experiment."""
    for complaint in ran.complaints:
        note(f"  {complaint}")
    note_left_out(ran.left_out)


def note_left_out(names: list[str]) -> None:
    """Say which untracked files an experiment does not have."""
    if names:
        shown = ", ".join(names[:5]) + (", ..." if len(names) > 5 else "")
        note(f"{counted(len(names), 'untracked file')} not kept with it: {shown}")


@exp_group.command("save")
@targets_argument
@click.option("-n", "--name", metavar="NAME", help="Its name; one is made up without it.")
@click.option("-I", "--include-untracked", "include", multiple=True, metavar="PATH",
              help="Keep a file that git does not track, too.")  # fmt: skip
@click.option("-f", "--force", is_flag=True, help="Replace an experiment of this name.")
@click.option("-R", "--recursive", is_flag=True, hidden=True)
@_message_option
@json_option
def save_command(
    targets: tuple[str, ...],
    include: tuple[str, ...],
    recursive: bool,  # noqa: ARG001 -- folders are always kept whole
    as_json: bool,
    **given: Any,
) -> int:
    """Keep the workspace as an experiment.

    Nothing runs. With TARGETS, the data of those stages only are stored and recorded first.
    """
    from assay.workflows import experiments

    saved, left_out = experiments.save(
        workspace.find(), targets, cwd=Path.cwd(), include=include, **given
    )
    document = {"name": saved.name, "commit": saved.commit, "ref": saved.ref}
    did(document, as_json=as_json, text=f"Saved as experiment '{saved.name}'.")
    note_left_out(left_out)
    return 0


@exp_group.command("apply")
@click.argument("experiment")
@click.option("-f", "--force", is_flag=True, help="Overwrite data that is not in the cache.")
@json_option
def apply_command(experiment: str, force: bool, as_json: bool) -> int:
    """Bring the workspace to what an experiment has.

    What was edited and not committed is kept in a commit of its own first. HEAD stays.
    """
    from assay.pipeline.experiments import apply
    from assay.workflows import kept_experiments

    project = workspace.find()
    commit, baseline = kept_experiments.applicable(project, experiment)
    applied = apply.apply(project, commit, name=experiment, force=force)
    text = f"The workspace has what experiment '{experiment}' has."
    did({"experiment": experiment, "commit": commit, "applied": applied},
        as_json=as_json, text=text)  # fmt: skip
    if applied.backup is not None:
        note(
            f"What was not committed before: {apply.BACKUP}\n"
            f"  to have it again: git restore --source {apply.BACKUP} :/"
        )
    missing = sum(change.n_files for change in applied.data if change.state == "missing")
    if missing:
        note(f"{counted(missing, 'file')} of its data not in the cache: assay exp pull REMOTE")
    if applied.left:
        note(
            f"It does not have these, and the cache has not what lies there: "
            f"{', '.join(applied.left)}\n  delete them yourself if you do not need them"
        )
    if baseline is not None:
        note(f"It was tried on {baseline[:7]}, not on HEAD: what came between is taken back.")
    return 0


@exp_group.command("branch")
@click.argument("experiment")
@click.argument("branch", required=False)
def branch_command(experiment: str, branch: str | None) -> int:
    """Make a git branch of an experiment.

    Without BRANCH it is called EXPERIMENT-branch.
    """
    from assay.workflows import kept_experiments

    name = kept_experiments.branch(workspace.find(), experiment, branch)
    did({"branch": name}, as_json=False, text=f"Made branch '{name}': git switch {name}")
    return 0


@exp_group.command("rename")
@click.argument("experiment")
@click.argument("name")
@click.option("-f", "--force", is_flag=True, help="Replace an experiment of that name.")
def rename_command(experiment: str, name: str, force: bool) -> int:
    """Give an experiment another name."""
    from assay.workflows import kept_experiments

    kept_experiments.rename(workspace.find(), experiment, name, force=force)
    did({}, as_json=False, text=f"Renamed '{experiment}' to '{name}'.")
    return 0


@exp_group.command("remove")
@click.argument("names", metavar="[EXPERIMENTS]...", nargs=-1)
@click.option("-A", "--all-commits", is_flag=True, help="All of them.")
@click.option("--rev", multiple=True, metavar="REVISION", help="Those of these baselines.")
@click.option("-n", "--num", type=int, metavar="N", help="Of so many commits of each revision.")
@click.option("--queue", is_flag=True, help="All that wait in the queue.")
@click.option("-g", "--git-remote", "remote", metavar="REMOTE", help="Those of that repository.")
@click.option("--keep", is_flag=True, help="Remove all others, and keep these.")
@json_option
def remove_command(as_json: bool, **given: Any) -> int:
    """Remove experiments.

    Their references go; their runs stay, and their data until 'assay gc'.
    """
    from assay.workflows import kept_experiments

    removed = kept_experiments.remove(workspace.find(), kept_experiments.Chosen(**given))
    text = f"Removed {', '.join(removed)}." if removed else "There is nothing to remove."
    did({"removed": removed}, as_json=as_json, text=text)
    return 0


for _name, _command in (("ls", list_command), ("rm", remove_command)):
    _other = copy.copy(_command)  # DVC's other names; the help shows one of them
    _other.hidden = True
    exp_group.add_command(_other, _name)


@exp_group.command("clean")
def clean_command() -> int:
    """Remove what is left of experiments.

    That is: work trees of killed ones, and what was kept for showing commits.
    """
    from assay.pipeline.experiments import worktree
    from assay.workflows import experiment_records

    project = workspace.find()
    trees, kept = worktree.sweep(project), experiment_records.forget(project)
    text = f"Removed {counted(trees, 'work tree')} and what was kept of {counted(kept, 'commit')}."
    did({"work_trees": trees, "commits": kept}, as_json=False, text=text)
    return 0
