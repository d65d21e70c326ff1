"""`git-hook`: what the hooks that `assay install` wrote call."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from assay.base.errors import Error, NotFound
from assay.project import git, workspace
from assay.project.workspace import Project

_OPTIONS = {"ignore_unknown_options": True, "allow_extra_args": True}


@click.group("git-hook")
def hook_group() -> None:
    """Do what a git hook is there for. Git calls this, not a person."""


@hook_group.command("pre-commit", context_settings=_OPTIONS)
@click.pass_context
def pre_commit(ctx: click.Context) -> int:
    """Show which data and stages differ from their records, before a commit; never in its way."""
    if _project() is not None:
        _call(ctx, "status")
    return 0


@hook_group.command("post-checkout", context_settings=_OPTIONS)
@click.pass_context
def post_checkout(ctx: click.Context) -> int:
    """Bring data to what the revision records, after a checkout of a branch."""
    project = _project()
    flag = ctx.args[2] if len(ctx.args) > 2 else os.environ.get("PRE_COMMIT_CHECKOUT_TYPE")
    if project is None or flag != "1" or _is_rebasing(project):
        return 0
    return _call(ctx, "checkout")


@hook_group.command("pre-push", context_settings=_OPTIONS)
@click.pass_context
def pre_push(ctx: click.Context) -> int:
    """Copy data to the default remote, before commits go to theirs."""
    project = _project()
    if project is None:
        return 0
    from assay.project import definition

    if not any(item.row is not None for item in definition.read(project).tracked):
        return 0
    return _call(ctx, "push")


@hook_group.command("merge-driver")
@click.option("--ancestor", required=True, help="The common version.")
@click.option("--our", required=True, help="Our version, which becomes the merged one.")
@click.option("--their", required=True, help="Their version.")
@click.option("--path", default=".", help="Where the file lies.")
def merge_driver(ancestor: str, our: str, their: str, path: str) -> int:
    """Merge two versions of a .dvc file or dvc.lock; exit code 1 where a person has to choose."""
    from assay.project import guarding, merging, merging_locks, missing_lists

    project = workspace.find(Path.cwd() / Path(path).parent)
    files = {"ancestor": Path(ancestor), "our": Path(our), "their": Path(their)}
    if Path(path).name == "dvc.lock":
        merging_locks.merge_locks(**files, shown=path)
        return 0

    def bring(oid: str, remote: str | None) -> None:
        missing_lists.bring(project, oid, remote=remote)

    try:
        with guarding.using(project):
            merging.merge_files(project.cache, **files, shown=path, bring=bring)
    except Error:
        merging.mark(**files)  # else our side would look as if it were the merge
        raise
    return 0


def _project() -> Project | None:
    """Return the project around; a hook is silent in other repositories."""
    try:
        return workspace.find()
    except NotFound:
        return None


def _call(ctx: click.Context, name: str) -> int:
    """Run one of the other commands with nothing given."""
    group: Any = ctx.find_root().command
    code = ctx.invoke(group.get_command(ctx, name))
    return code if isinstance(code, int) else 0


def _is_rebasing(project: Project) -> bool:
    out = git.git("rev-parse", "--git-path", "rebase-merge", cwd=project.git_root)
    return (project.git_root / os.fsdecode(out.rstrip(b"\n"))).exists()
