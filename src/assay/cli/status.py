"""`status`: which stages and data changed, or what a remote has not."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Usage
from assay.cli.options import (
    all_branches_option,
    all_commits_option,
    all_tags_option,
    glob_option,
    jobs_option,
    recursive_option,
    remote_option,
    request_of,
    targets_argument,
    with_deps_option,
    with_options,
)
from assay.cli.output import is_quiet, json_option, note, show
from assay.project import workspace

if TYPE_CHECKING:
    from assay.project.stages import Stage
    from assay.project.workspace import Project

_cloud_options = with_options(
    click.option("-c", "--cloud", is_flag=True, help="Compare the cache with a remote."),
    remote_option,
    jobs_option,
    all_branches_option,
    all_tags_option,
    all_commits_option,
)


@click.command("status")
@targets_argument
@_cloud_options
@with_deps_option
@recursive_option
@glob_option
@click.option("--no-updates", is_flag=True, help="Do not ask where imports come from.")
@click.option("--verify", is_flag=True, help="Read every file, whatever its time stamp says.")
@json_option
def status_command(
    cloud: bool, verify: bool, no_updates: bool, as_json: bool, **options: Any
) -> int:  # fmt: skip
    """Show which stages and data changed. With -q: exit 1 if anything did.

    With --cloud: what is not on the remote (new), only there (deleted), or nowhere (missing).
    """
    project = workspace.find()
    if cloud or options["remote"]:
        if verify:
            raise Usage(
                "'--verify' reads the work tree, '--cloud' looks at a remote",
                hint="'assay cache verify --remote NAME' reads every object of a remote",
            )
        return _cloud(project, options, as_json=as_json)
    for name in ("all_branches", "all_tags", "all_commits", "jobs"):
        if options[name]:
            raise Usage(f"'--{name.replace('_', '-')}' means nothing without '--cloud'")
    return _local(project, options, verify=verify, no_updates=no_updates, as_json=as_json)


def _local(
    project: Project, options: dict[str, Any], *, verify: bool, no_updates: bool, as_json: bool
) -> int:
    from assay.workflows import pipeline

    if verify:
        from assay.objects.index import Index

        project.index = Index(Path(":memory:"))
    addresses = _addresses(project, options)
    found = pipeline.status(project, addresses, cwd=Path.cwd())
    document = found.document()
    if found.imports and not no_updates:
        _add_updates(project, found.imports, document)
    quiet = is_quiet()
    if found.is_empty:
        text = (
            "There is nothing tracked in this project yet.\n"
            "  next: 'assay add FILE', or write stages into dvc.yaml"
        )
    elif not document:
        text = "Data and pipelines are up to date."
    else:
        text = "\n".join(_lines(document))
    if as_json or not quiet:
        show(document, as_json=as_json, text=text)
    for address in found.frozen if not as_json else ():
        note(f"  warning: stage '{address}' is frozen: nobody looks at what it depends on")
    return 1 if quiet and document else 0


def _add_updates(
    project: Project, imports: list[Stage], document: dict[str, list[Any]]
) -> None:  # fmt: skip
    """Say of imports that their repository has moved on."""
    from assay.base.errors import Error
    from assay.workflows import updates

    try:
        found = updates.available(project, imports, cwd=Path.cwd())
    except Error as error:
        without = "'assay status --no-updates' does not ask where imports come from"
        error.hint = f"{error.hint}; {without}" if error.hint else without
        raise
    for address, names in found.items():
        shown = os.path.relpath(project.root / address)
        states = dict.fromkeys(names, "update available")
        document.setdefault(shown, []).insert(0, {"changed deps": states})


def _addresses(project: Project, options: dict[str, Any]) -> tuple[str, ...]:
    """Return the targets; where they are patterns, folders or reach further, as stages."""
    targets: tuple[str, ...] = options["targets"]
    if not any(options[name] for name in ("glob", "recursive", "with_deps")):
        return _with_folders(project, targets)
    if not targets:
        return targets
    from assay.project import definition
    from assay.workflows.data import Targets, choose

    wanted = Targets(
        names=targets,
        cwd=Path.cwd(),
        with_deps=options["with_deps"],
        recursive=options["recursive"],
        glob=options["glob"],
    )
    chosen = choose(definition.read(project), wanted)
    return tuple(dict.fromkeys(one.item.stage.address for one in chosen))


def _with_folders(project: Project, targets: tuple[str, ...]) -> tuple[str, ...]:
    """Return the targets; a folder that is not tracked itself means what is in it."""
    from assay.base.errors import NotFound
    from assay.project import definition

    if not any(Path(target).is_dir() for target in targets):
        return targets
    declared, found = definition.read(project), list[str]()
    for target in targets:
        try:
            declared.find(target, cwd=Path.cwd())
        except NotFound:
            chosen = declared.select((target,), cwd=Path.cwd())  # raises where nothing is in it
            found += [item.stage.address for item in chosen]
        else:
            found.append(target)
    return tuple(dict.fromkeys(found))


def _lines(document: dict[str, list[Any]]) -> list[str]:
    lines = []
    for address, items in document.items():
        lines.append(f"{address}:")
        for item in items:
            if isinstance(item, str):
                lines.append(f"\t{item}")
                continue
            for title, entries in item.items():
                lines.append(f"\t{title}:")
                for path, state in entries.items():
                    if isinstance(state, dict):
                        lines.append(f"\t\t{path}:")
                        lines += [f"\t\t\t{f'{s}:':<20}{key}" for key, s in state.items()]
                    else:
                        lines.append(f"\t\t{f'{state}:':<20}{path}")
    return lines


def _cloud(project: Project, options: dict[str, Any], *, as_json: bool) -> int:
    from assay.workflows import cloud_status

    found = cloud_status.compare(project, request_of(options))
    states = {os.path.relpath(project.root / path): s for path, s in found.states.items()}
    text = "\n".join(f"\t{f'{state}:':<20}{path}" for path, state in states.items())
    if not states:
        text = f"Cache and remote '{found.remote}' are in sync."
        if not found.remote:
            text = "There is nothing recorded that a remote could have."
    quiet = is_quiet()
    if as_json or not quiet:
        show(states, as_json=as_json, text=text)
    for complaint in found.complaints:
        note(f"  warning: {complaint}; left out")
    return 1 if quiet and states else 0
