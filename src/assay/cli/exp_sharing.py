"""`exp push`, `exp pull`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Error
from assay.base.progress import counted
from assay.cli.options import all_commits_option, jobs_option, remote_option, with_options
from assay.cli.output import did, json_option, note
from assay.project import workspace

if TYPE_CHECKING:
    from assay.workflows.experiment_sharing import Moved

_options = with_options(
    click.argument("git_remote", metavar="GIT_REMOTE"),
    click.argument("names", metavar="[EXPERIMENTS]...", nargs=-1),
    all_commits_option,
    click.option("--rev", multiple=True, metavar="REVISION", help="Those of these baselines."),
    click.option("-n", "--num", type=int, metavar="N", help="Of so many commits of each."),
    click.option("-f", "--force", is_flag=True, help="Replace one with other content."),
    click.option("--no-cache", is_flag=True, help="Leave the data where they are."),
    remote_option,
    jobs_option,
    click.option("--run-cache/--no-run-cache", help="Also what commands made before."),
    json_option,
)


@click.command("push")
@_options
def push_command(git_remote: str, as_json: bool, **given: Any) -> int:
    """Send experiments and their data.

    They go to another git repository, their data to a remote. Without EXPERIMENTS, those on the
    last commit.
    """
    from assay.workflows import experiment_sharing
    from assay.workflows.experiment_sharing import Sharing

    moved = experiment_sharing.push(workspace.find(), git_remote, Sharing(**given))
    return _show(moved, "pushed", git_remote, given, as_json=as_json)


@click.command("pull")
@_options
def pull_command(git_remote: str, as_json: bool, **given: Any) -> int:
    """Get experiments and their data.

    They come from another git repository, their data from a remote. Without EXPERIMENTS, those
    on the last commit.
    """
    from assay.workflows import experiment_sharing
    from assay.workflows.experiment_sharing import Sharing

    moved = experiment_sharing.pull(workspace.find(), git_remote, Sharing(**given))
    return _show(moved, "pulled", git_remote, given, as_json=as_json)


def _show(
    moved: Moved, verb: str, remote: str, given: dict[str, Any], *, as_json: bool
) -> int:  # fmt: skip
    shared = moved.refs
    lines = []
    if shared.moved:
        lines.append(f"{verb.capitalize()} {', '.join(one.name for one in shared.moved)}.")
    if shared.present:
        lines.append(f"{', '.join(one.name for one in shared.present)}: up to date.")
    if moved.data is not None and moved.data.data.moved:
        lines.append(f"{counted(moved.data.data.moved, 'file')} of data {verb}.")
    document = {
        "moved": shared.moved,
        "present": shared.present,
        "diverged": shared.diverged,
        "refused": shared.refused,
        "data": None if moved.data is None else moved.data.data,
    }
    did(document, as_json=as_json, text="\n".join(lines) or "There are no experiments to move.")
    if not lines and not given["all_commits"]:
        note("  hint: only those of some commits were looked for; of all: add '--all-commits'")
    if given["no_cache"]:
        note("The data were left where they are, as '--no-cache' says.")
    if shared.refused:
        why = "; ".join(f"'{name}': {what}" for name, what in shared.refused.items())
        raise Error(
            f"'{remote}' refused {why}",
            where="git push",
            hint="ask who keeps that repository; it has to take references under refs/exps",
        )
    if shared.diverged:
        names = ", ".join(f"'{one.name}'" for one in shared.diverged)
        raise Error(
            f"{names}: the other side has that name with other content",
            where=remote,
            hint="replace it with '--force', or give it another name: assay exp rename",
        )
    return 0
