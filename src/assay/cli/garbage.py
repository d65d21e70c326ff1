"""`gc` and `cache verify`."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Negative
from assay.base.progress import counted, human_size
from assay.cli.options import greedy, jobs_option, scope_of
from assay.cli.output import did, is_quiet, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.workflows.garbage import Garbage, Part
    from assay.workflows.verifying import Verified

_SHOWN = 10


@click.command("gc", cls=greedy("-p", "--projects"))
@click.option(
    "-w", "--workspace", "work_tree", is_flag=True, help="Keep what the work tree names."
)
@click.option("-a", "--all-branches", is_flag=True, help="Keep also the tips of all branches.")
@click.option("-T", "--all-tags", is_flag=True, help="Keep also all tags.")
@click.option("-A", "--all-commits", is_flag=True, help="Keep also all commits.")
@click.option("--all-experiments", is_flag=True, help="Keep also all experiments of DVC.")
@click.option("--date", metavar="YYYY-MM-DD", help="Keep also all commits since this day.")
@click.option("--rev", multiple=True, metavar="REVISION", help="Keep also this revision.")
@click.option("-n", "--num", type=int, metavar="N", help="So many commits of each, not only one.")
@click.option("-c", "--cloud", is_flag=True, help="Delete on a remote, too.")
@click.option("-r", "--remote", metavar="NAME", help="Which remote, if not the default one.")
@click.option("--not-in-remote", is_flag=True, help="Keep only what is not on the remote.")
@click.option("-p", "--projects", multiple=True, metavar="FOLDER...", help="Keep theirs, too.")
@click.option("--skip-failed", is_flag=True, help="Go on if a remote cannot be asked for lists.")
@jobs_option
@click.option("--dry", is_flag=True, help="Say what would be deleted, and delete nothing.")
@click.option("-f", "--force", is_flag=True, help="Do not ask.")
@json_option
def gc_command(
    work_tree: bool, dry: bool, force: bool, as_json: bool, **options: Any
) -> int:  # fmt: skip
    """Delete the objects that nobody names any more.

    What is kept has to be said: each choice keeps what the work trees of this clone name, too. Of
    our own objects all is kept that the ledger and registered models name; on a remote, also all
    that the runs on it name, whoever pushed them.
    """
    from assay.workflows import garbage

    project = workspace.find()
    keep = garbage.Keep(
        workspace=work_tree,
        scope=scope_of(options),
        cloud=options["cloud"],
        remote=options["remote"],
        jobs=options["jobs"],
        not_in_remote=options["not_in_remote"],
        projects=options["projects"],
        skip_failed=options["skip_failed"],
    )
    found = garbage.find(project, keep)
    if dry or not found:
        show(_document(found), as_json=as_json, text=_dry_text(found))
        gone = found
    else:
        _ask(found, force=force)
        gone = garbage.delete(project, keep, found)
        did(_document(gone), as_json=as_json, text="\n".join(map(_removed, gone.parts)))
    for line in gone.left:
        note(f"  {line}")
    return 0


def _ask(found: Garbage, *, force: bool) -> None:
    """Say what is going to be deleted, and ask.

    Raises
    ------
    Negative
        If the answer is no, or nobody can be asked.
    """
    if force and is_quiet():
        return
    lines = [f"Kept is what {found.kept} name{_s(found.kept)}. Nobody else names:"]
    for part in found.parts:
        if part.unused:
            lines.append(f"  {part.name}: {_amount(part)} in {part.where}")
            lines += [f"    {one.oid}  {_size(one.size)}" for one in part.unused[:_SHOWN]]
            if len(part.unused) > _SHOWN:
                lines.append(f"    and {len(part.unused) - _SHOWN:,} more; --dry lists them all")
    lines += [f"  warning: {warning}" for warning in found.warnings]
    sys.stderr.write("\n".join(lines) + "\n")
    if force:
        return
    if not sys.stdin.isatty():
        raise Negative(
            "nobody can be asked here whether to delete this; nothing was deleted",
            hint="agree to it with '--force'",
        )
    if not click.confirm("Delete them?", err=True):
        raise Negative("nothing was deleted")


def _s(kept: str) -> str:
    return "" if " and " in kept else "s"


def _amount(part: Part) -> str:
    return f"{counted(len(part.unused), 'object')} ({human_size(part.size)})"


def _size(size: int | None) -> str:
    return "" if size is None else human_size(size)


def _removed(part: Part) -> str:
    if not part.unused:
        return f"Nothing to remove from the {part.name}."
    return f"Removed {_amount(part)} from the {part.name}."


def _dry_text(found: Garbage) -> str:
    lines = []
    for part in found.parts:
        lines += [f"Removing {one.where}" for one in part.unused]
        lines.append(_removed(part).replace("Removed", "Would remove"))
    lines += [f"warning: {warning}" for warning in found.warnings] if found else []
    return "\n".join(lines)


def _document(found: Garbage) -> dict[str, Any]:
    return {
        "kept": found.kept,
        "stores": [
            {
                "name": part.name,
                "where": part.where,
                "n_objects": len(part.unused),
                "size": part.size,
                "objects": [one.oid for one in part.unused],
            }
            for part in found.parts
        ],
        "warnings": [*found.warnings, *found.left],
    }


@click.command("verify")
@click.option(
    "-r",
    "--remote",
    metavar="NAME",
    is_flag=False,
    flag_value="",
    help="Read the objects of a remote; the default one without NAME.",
)
@json_option
def verify_command(remote: str | None, as_json: bool) -> int:
    """Read every object and compare it with its name, its hash.

    A damaged one is moved aside, and brought again from the default remote if that has it; on a
    remote it is replaced from the cache. Exit 1 if one could not be repaired.
    """
    from assay.workflows import verifying

    project = workspace.find()
    if remote is None:
        found = verifying.cache(project)
    else:
        found = verifying.remote(project, remote or None)
    show(found, as_json=as_json, text=_verified_text(found))
    return 0 if found.is_whole else 1


def _verified_text(found: Verified) -> str:
    lines = []
    for one in found.damaged:
        lines.append(f"damaged: {one.oid}")
        if one.aside is not None:
            lines.append(f"  its bytes are in {one.aside}")
        if one.repaired_from is not None:
            lines.append(f"  replaced from {one.repaired_from}")
        else:
            lines.append("  no good one was found: 'assay push' from a clone that has it, or add "
                         "the data again")  # fmt: skip
    if found.note is not None:
        note(f"  nothing could be brought from a remote: {found.note}")
    amount = f"{counted(found.n_objects, 'object')} ({human_size(found.size)})"
    good = "all are whole" if not found.damaged else f"{len(found.damaged)} damaged"
    return "\n".join(
        [*lines, f"Read {amount} in {', '.join(found.places) or 'no store'}: {good}."]
    )
