"""`stage add` and `stage list`, `freeze` and `unfreeze`; `run`, as older projects know it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Usage
from assay.cli.options import recursive_option, targets_argument, with_options
from assay.cli.output import did, is_quiet, json_option, note, show, suggest_git_add
from assay.project import workspace

if TYPE_CHECKING:
    from assay.project.workspace import Project
    from assay.workflows.declaring import Declared


@click.group("stage")
def stage_group() -> None:
    """Add and list stages."""


@stage_group.command("list")
@targets_argument
@click.option("--all", "every", is_flag=True, help="Those of all dvc.yaml and .dvc files.")
@recursive_option
@click.option("--name-only", "--names-only", is_flag=True, help="Print names alone.")
@click.option("--fail", is_flag=True, hidden=True, expose_value=False)  # it always does
@json_option
def stage_list(
    targets: tuple[str, ...],
    every: bool,
    recursive: bool,
    name_only: bool,
    as_json: bool,
) -> int:
    """List stages: those of the dvc.yaml in this folder, or of TARGETS.

    With '--json' it is the whole graph, or the part of it that is TARGETS.
    """
    from assay.workflows import pipeline

    project = workspace.find()
    document, rows = pipeline.stages(
        project, targets, cwd=Path.cwd(), every=every or as_json, recursive=recursive
    )
    width = max((len(name) for name, _ in rows), default=0)
    lines = [name if name_only else f"{name:<{width}}  {text}" for name, text in rows]
    show(document, as_json=as_json, text="\n".join(lines))
    return 0


_OUTS: tuple[tuple[str, str, str, dict[str, bool], str], ...] = (
    ("outs", "-o", "--outs", {}, "An output."),
    ("outs", "-O", "--outs-no-cache", {"cache": False}, "An output that git keeps."),
    ("outs", "", "--outs-persist", {"persist": True}, "An output that stays for the next run."),
    ("outs", "", "--outs-persist-no-cache", {"cache": False, "persist": True}, "Both of these."),
    ("metrics", "-m", "--metrics", {}, "A file of metrics."),
    ("metrics", "-M", "--metrics-no-cache", {"cache": False}, "One that git keeps."),
    ("plots", "", "--plots", {}, "A file of a plot."),
    ("plots", "", "--plots-no-cache", {"cache": False}, "One that git keeps."),
)


def _out_option(short: str, long: str, text: str) -> Any:
    names = [name for name in (short, long) if name]
    return click.option(*names, multiple=True, metavar="PATH", help=text)


_declaring_options = with_options(
    click.option("-n", "--name", required=True, metavar="NAME", help="What it is called."),
    click.option("-d", "--deps", multiple=True, metavar="PATH", help="What its command reads."),
    click.option("-p", "--params", multiple=True, metavar="[FILE:]KEY,KEY",
                 help="Parameters of params.yaml or FILE; 'FILE:' is all of it."),
    *(_out_option(short, long, text) for _, short, long, _, text in _OUTS),
    click.option("-w", "--wdir", metavar="DIR", help="Where its command runs."),
    click.option("--desc", metavar="TEXT", help="What it is for."),
    click.option("--always-changed", is_flag=True, help="It runs whenever it is asked for."),
    click.option("-f", "--force", is_flag=True, help="Write over a stage of this name."),
    click.argument("command", nargs=-1, required=True, type=click.UNPROCESSED),
)  # fmt: skip
_WHAT_FOLLOWS_IS_THE_COMMAND = {"ignore_unknown_options": True, "allow_interspersed_args": False}


@stage_group.command("add", context_settings=_WHAT_FOLLOWS_IS_THE_COMMAND)
@_declaring_options
@click.option("--run", "runs", is_flag=True, help="Run it then.")
def stage_add(runs: bool, **given: Any) -> int:
    """Write a stage with COMMAND into the dvc.yaml of this folder."""
    return _add(runs=runs, **given)


@click.command("run", context_settings=_WHAT_FOLLOWS_IS_THE_COMMAND, hidden=True)
@_declaring_options
@click.option("--no-exec", is_flag=True, help="Only write it.")
def run_command(no_exec: bool, **given: Any) -> int:
    """Write a stage into dvc.yaml and run it: 'assay stage add --run'."""
    return _add(runs=not no_exec, **given)


def _add(*, runs: bool, force: bool, **given: Any) -> int:
    from assay.workflows import declaring, pipeline

    project = workspace.find()
    outs: dict[str, list[tuple[str, dict[str, bool]]]] = {}
    for kind, _, long, flags, _ in _OUTS:
        for path in given.pop(long.strip("-").replace("-", "_")):
            outs.setdefault(kind, []).append((path, flags))
    new = declaring.NewStage(cmd=_joined(given.pop("command")), outs=outs, **given)
    declared = declaring.add(project, new, cwd=Path.cwd(), force=force)
    if not is_quiet():
        click.echo(f"Added stage '{new.name}' in {project.shown(declared.files[0])}")
    files = list(declared.files)
    if runs:
        from assay.cli.repro import make_events

        outcome, _ = pipeline.repro(
            project,
            declared.stages,
            cwd=Path.cwd(),
            events=make_events(as_json=False),
            single=True,
        )
        files += outcome.files
    suggest_git_add(project, files)
    return 0


def _joined(words: tuple[str, ...]) -> str:
    """Return a command as DVC writes it: words with blanks get their quotes again."""
    if len(words) == 1:
        command = words[0]
    else:
        command = " ".join(
            f'"{word}"' if not word or (" " in word and '"' not in word) else word
            for word in words
        )
    if not command.strip():
        raise Usage("the command is empty", hint="put it at the end: assay stage add -n NAME CMD")
    return command


@click.command("freeze")
@click.argument("targets", nargs=-1, required=True)
@json_option
def freeze_command(targets: tuple[str, ...], as_json: bool) -> int:
    """Let stages or .dvc files be as they are, whatever they depend on does."""
    return _freeze(targets, frozen=True, as_json=as_json)


@click.command("unfreeze")
@click.argument("targets", nargs=-1, required=True)
@json_option
def unfreeze_command(targets: tuple[str, ...], as_json: bool) -> int:
    """Let frozen stages or .dvc files follow what they depend on again."""
    return _freeze(targets, frozen=False, as_json=as_json)


def _freeze(targets: tuple[str, ...], *, frozen: bool, as_json: bool) -> int:
    from assay.workflows import declaring

    project = workspace.find()
    done = declaring.freeze(project, targets, cwd=Path.cwd(), frozen=frozen)
    did(_document(project, done), as_json=as_json, text="")
    if not as_json:
        if not done.files:
            note("Nothing to change: it is like that already.")
        suggest_git_add(project, done.files)
    return 0


def _document(project: Project, done: Declared) -> dict[str, Any]:
    return {"stages": done.stages, "files": [project.relative(file) for file in done.files]}
