"""`remove`, `move`, `unprotect`, `check-ignore`: what is tracked, and how it lies here."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from pathlib import Path

import click

from assay.base.errors import Usage
from assay.cli.output import did, json_option, note, show, suggest_git_add
from assay.project import git, workspace
from assay.project.workspace import Project


@click.command("remove")
@click.argument("targets", nargs=-1, required=True)
@click.option("--outs", is_flag=True, help="Delete the data too, where the cache has it.")
@json_option
def remove_command(targets: tuple[str, ...], outs: bool, as_json: bool) -> int:
    """Stop tracking: take .dvc files, or stages by name, away.

    The data stays where it is, and in the cache until 'assay gc'. A stage goes from dvc.yaml and
    dvc.lock; all other lines stay as they are.
    """
    from assay.project import removing

    project = workspace.find()
    done = removing.remove(project, targets, cwd=Path.cwd(), outs=outs)
    document = {
        "removed": done.targets,
        "deleted": [project.relative(path) for path in done.outs],
    }
    did(document, as_json=as_json, text="")
    if not as_json:
        _suggest(project, done.files)
    return 0


@click.command("move")
@click.argument("source")
@click.argument("target")
@json_option
def move_command(source: str, target: str, as_json: bool) -> int:
    """Move tracked data and its .dvc file: to TARGET, or into it where that is a folder."""
    from assay.project import moving

    project = workspace.find()
    done = moving.move(project, source, target, cwd=Path.cwd())
    document = {
        "source": project.relative(done.source),
        "target": project.relative(done.target),
        "record": project.relative(done.record),
    }
    did(document, as_json=as_json, text="")
    if not as_json:
        _suggest(project, done.files)
    return 0


def _suggest(project: Project, files: Iterable[Path]) -> None:
    """Say what git should get; a file that is gone only where git knew it."""
    known = [
        path
        for path in files
        if path.exists()
        or (
            project.uses_git
            and git.tracked(project.git_root, path.relative_to(project.git_root).as_posix())
        )
    ]
    suggest_git_add(project, known)


@click.command("unprotect")
@click.argument("targets", nargs=-1, required=True)
@json_option
def unprotect_command(targets: tuple[str, ...], as_json: bool) -> int:
    """Make files that are links into the cache files of their own, which may be written to."""
    from assay.base.progress import counted
    from assay.project import unprotecting

    project = workspace.find()
    paths = [project.resolve(target) for target in targets]
    count = unprotecting.unprotect(project, paths)
    did({"unprotected": count}, as_json=as_json, text="")
    if not as_json:
        note(f"{counted(count, 'file')} made writable")
    return 0


@click.command("check-ignore")
@click.argument("targets", nargs=-1)
@click.option("-d", "--details", is_flag=True, help="Show the pattern that decides, and where.")
@click.option("-n", "--non-matching", is_flag=True, help="Show targets without a pattern too.")
@click.option("-a", "--all", "show_all", is_flag=True, help="Show all patterns that match.")
@click.option("--stdin", "read_stdin", is_flag=True, help="Read the targets from stdin.")
@json_option
def check_ignore_command(
    targets: tuple[str, ...],
    details: bool,
    non_matching: bool,
    show_all: bool,
    read_stdin: bool,
    as_json: bool,
) -> int:
    """Say which TARGETS .dvcignore keeps out of sight; exit code 1 if none."""
    if read_stdin == bool(targets):
        raise Usage("give targets, or '--stdin'")
    if (non_matching or show_all) and not details:
        raise Usage("'--non-matching' and '--all' are about '--details'", hint="add '-d'")
    project = workspace.find()
    given = targets or tuple(line for line in sys.stdin.read().splitlines() if line)
    lines, rows, ignored = [], [], False
    for target in given:
        path = Path(os.path.normpath(Path.cwd() / target))
        is_dir = path.is_dir() or target.endswith("/")
        rules = project.ignore.rules(str(path), is_dir=is_dir)
        hit = bool(rules) and rules[-1].ignores
        ignored = ignored or hit
        shown = [
            f"{_place(rule.file)}:{rule.line or ''}{':' if rule.line else ''}{rule.pattern}"
            for rule in (rules if show_all else rules[-1:])
        ]
        rows.append({"path": target, "ignored": hit, "patterns": shown})
        if details:
            shown = shown or (["::"] if non_matching else [])
            lines += [f"{pattern}\t{target}" for pattern in shown]
        elif hit:
            lines.append(target)
    show(rows, as_json=as_json, text="\n".join(lines))
    return 0 if ignored else 1


def _place(file: str) -> str:
    return os.path.relpath(file, workspace.find().root) if file else ""
