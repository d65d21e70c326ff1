"""`import`, `import-url`, `update`, `get`, `get-url`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from assay.base.errors import Usage
from assay.cli.output import did, json_option, note, show, suggest_git_add
from assay.objects.legacy import named
from assay.project import workspace

if TYPE_CHECKING:
    from assay.project.supply import Overrides
    from assay.project.workspace import Project
    from assay.workflows.imports import How, Imported

_out = click.option("-o", "--out", metavar="PATH", help="Where the data go.")
_rev = click.option("--rev", metavar="REVISION", help="A branch, tag or commit.")
_force = click.option("-f", "--force", is_flag=True, help="Overwrite what is there.")
_no_exec = click.option("--no-exec", is_flag=True, help="Only write the .dvc file.")
_no_download = click.option(
    "--no-download", is_flag=True, help="Record what is there, and leave the data for later."
)
_to_remote = click.option(
    "--to-remote", is_flag=True, help="Send the data to a remote, and keep none here."
)
_remote_name = click.option(
    "-r", "--remote", metavar="NAME", help="With --to-remote: another remote than the default."
)
_fs_config = click.option(
    "--fs-config", multiple=True, metavar="KEY=VALUE", help="An option for the address."
)
jobs_option = click.option(
    "-j", "--jobs", type=click.IntRange(min=1), metavar="N", help="Transfers at one time."
)


def source_options(command: Any) -> Any:
    """Add the options that override another repository's remotes."""
    for option in (
        click.option(
            "--remote-config", multiple=True, metavar="KEY=VALUE",
            help="An option of that repository's default remote (or of --remote).",
        ),
        click.option("--remote", metavar="NAME", help="A remote of that repository."),
        click.option(
            "--config", metavar="FILE", help="Settings that count above that repository's."
        ),
    ):  # fmt: skip
        command = option(command)
    return command


def overrides_of(
    config: str | None, remote: str | None, pairs: tuple[str, ...], jobs: int | None = None
) -> Overrides:
    """Return what a person says differently about another repository's remotes."""
    from assay.project.supply import Overrides

    options = options_of(pairs, name="--remote-config")
    if remote and options:
        if config:
            raise Usage("'--config' cannot be joined with both '--remote' and '--remote-config'")
        named: dict[str, Any] = {"core": {"remote": remote}, "remote": {remote: options}}
        return Overrides(config=named, jobs=jobs)
    return Overrides(config=config, remote=options or remote, jobs=jobs)


def options_of(pairs: tuple[str, ...], *, name: str) -> dict[str, str]:
    """Read options of the form KEY=VALUE."""
    found = {}
    for pair in pairs:
        key, has_value, value = pair.partition("=")
        if not key or not has_value:
            raise Usage(f"'{name}' is {pair!r}, not KEY=VALUE")
        found[key] = value
    return found


@click.command("import")
@click.argument("url")
@click.argument("path")
@_out
@_rev
@_force
@_no_exec
@_no_download
@source_options
@jobs_option
@json_option
def import_command(
    url: str,
    path: str,
    out: str | None,
    rev: str | None,
    force: bool,
    no_exec: bool,
    no_download: bool,
    config: str | None,
    remote: str | None,
    remote_config: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> int:
    """Take data of another repository, and follow them.

    URL is a folder with a git repository, or what git can clone; PATH is a file or folder in it,
    tracked as data or by git. The .dvc file says which commit it was: 'assay update' goes on.
    """
    from assay.workflows import imports

    project = workspace.find()
    done = imports.import_(
        project, url, path, cwd=Path.cwd(), out=out, rev=rev, force=force,
        how=_how(no_exec=no_exec, no_download=no_download),
        overrides=overrides_of(config, remote, remote_config, jobs),
    )  # fmt: skip
    _show(project, [done], as_json=as_json, quietly=no_exec)
    return 0


@click.command("import-url")
@click.argument("url")
@click.argument("out", required=False)
@_force
@_no_exec
@_no_download
@_to_remote
@_remote_name
@click.option(
    "--version-aware", is_flag=True, help="Take the data from the versions that a bucket keeps."
)
@_fs_config
@jobs_option
@json_option
def import_url_command(
    url: str,
    out: str | None,
    force: bool,
    no_exec: bool,
    no_download: bool,
    to_remote: bool,
    remote: str | None,
    version_aware: bool,
    fs_config: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> int:
    """Take data from a path or URL, and follow them.

    URL is a path, http(s)://..., s3://bucket/..., ssh://..., or remote://NAME/... of a remote
    that the project names.
    """
    from assay.workflows import imports

    how = _how(no_exec=no_exec, no_download=no_download)
    if to_remote and how != "all":
        raise Usage("'--to-remote' moves the data, '--no-exec' and '--no-download' do not")
    if to_remote and version_aware:
        raise Usage("'--to-remote' copies the data, '--version-aware' leaves them where they are")
    project = workspace.find()
    done = imports.import_url(
        project, url, cwd=Path.cwd(), out=out, force=force, how=how,
        options=options_of(fs_config, name="--fs-config"),
        to_remote=_remote_of(to_remote=to_remote, remote=remote), jobs=jobs,
        version_aware=version_aware,
    )  # fmt: skip
    _show(project, [done], as_json=as_json, quietly=no_exec or to_remote)
    return 0


@click.command("update")
@click.argument("targets", nargs=-1, required=True)
@_rev
@click.option("-R", "--recursive", is_flag=True, help="All imports in the folders TARGETS.")
@_no_download
@_force
@_to_remote
@_remote_name
@jobs_option
@json_option
def update_command(
    targets: tuple[str, ...],
    rev: str | None,
    recursive: bool,
    no_download: bool,
    force: bool,
    to_remote: bool,
    remote: str | None,
    jobs: int | None,
    as_json: bool,
) -> int:
    """Bring imports to what their source has now.

    With --rev an import follows another branch, tag or commit from then on.
    """
    from assay.workflows import updates

    project = workspace.find()
    done = updates.update(
        project, targets, cwd=Path.cwd(), rev=rev, recursive=recursive,
        download=not no_download, force=force,
        to_remote=_remote_of(to_remote=to_remote, remote=remote), jobs=jobs,
    )  # fmt: skip
    _show(project, done, as_json=as_json)
    return 0


@click.command("get")
@click.argument("url")
@click.argument("path")
@_out
@_rev
@_force
@click.option("--show-url", is_flag=True, help="Only print where the data are shared.")
@source_options
@jobs_option
@json_option
def get_command(
    url: str,
    path: str,
    out: str | None,
    rev: str | None,
    force: bool,
    show_url: bool,
    config: str | None,
    remote: str | None,
    remote_config: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> int:
    """Copy data of another repository, without tracking them.

    Works outside of a project. URL and PATH are as for 'assay import'.
    """
    from assay.workflows import browsing, getting

    overrides = overrides_of(config, remote, remote_config, jobs)
    if show_url:
        with browsing.opened(url, cwd=Path.cwd(), rev=rev, overrides=overrides) as source:
            address = getting.address_of(source, path)
        show({"url": address}, as_json=as_json, text=address)
        return 0
    got = getting.get(
        url, path, cwd=Path.cwd(), out=out, rev=rev, force=force, overrides=overrides
    )
    _show_got(got, as_json=as_json)
    return 0


@click.command("get-url")
@click.argument("url")
@click.argument("out", required=False)
@_force
@_fs_config
@jobs_option
@json_option
def get_url_command(
    url: str,
    out: str | None,
    force: bool,
    fs_config: tuple[str, ...],
    jobs: int | None,
    as_json: bool,
) -> int:
    """Copy data from a path or URL, without tracking them."""
    from assay.workflows import getting

    options = options_of(fs_config, name="--fs-config")
    got = getting.get_url(url, cwd=Path.cwd(), out=out, force=force, options=options, jobs=jobs)
    _show_got(got, as_json=as_json)
    return 0


def _how(*, no_exec: bool, no_download: bool) -> How:
    if no_exec and no_download:
        raise Usage("'--no-exec' and '--no-download' are two ways: choose one")
    return "no-exec" if no_exec else "no-download" if no_download else "all"


def _remote_of(*, to_remote: bool, remote: str | None) -> str | bool:
    if remote and not to_remote:
        raise Usage("'--remote' says where '--to-remote' sends the data: give both")
    return remote or to_remote if to_remote else False


def _show(project: Project, done: list[Imported], *, as_json: bool, quietly: bool = False) -> None:
    rows = [
        {
            "path": project.relative(one.path),
            "source": one.origin,
            "oid": None if one.oid is None else named(one.oid),
            "commit": one.commit,
            "changed": one.changed,
        }
        for one in done
    ]
    lines = [
        f"Importing '{one.origin}' -> '{project.shown(one.path)}'"
        if one.changed
        else f"'{project.shown(one.path)}.dvc' didn't change, skipping"
        for one in done
    ]
    did(rows, as_json=as_json, text="" if quietly else "\n".join(lines))
    if not as_json:
        suggest_git_add(project, [file for one in done for file in one.files])


def _show_got(got: Any, *, as_json: bool) -> None:
    from assay.base.progress import counted, human_size

    if as_json:
        row = {"path": str(got.path), "n_files": got.n_files, "size": got.size}
        show(row, as_json=True, text="")
    else:
        note(f"{got.path.name}: {counted(got.n_files, 'file')}, {human_size(got.size)}")
