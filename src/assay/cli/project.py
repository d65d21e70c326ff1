"""`init`, `remote`, `config`."""

from __future__ import annotations

import os
from pathlib import Path

import click

from assay.base.errors import Error, NotFound, Usage
from assay.cli.output import did, json_option, note, show
from assay.objects import remotes
from assay.objects.remotes import RemoteSettings
from assay.project import workspace
from assay.project.config import Level


@click.command("init")
@click.argument("folder", default=".", type=click.Path(file_okay=False))
@click.option("-f", "--force", is_flag=True, help="Make what is missing in a project that exists.")
def init_command(folder: str, force: bool) -> int:
    """Make a project in the root of a git repository.

    Its files are those of DVC: a project of Assay is a DVC repository, and the other way round.
    """
    project = workspace.init(Path(folder), force=force)
    did(None, as_json=False, text=f"Made a project in {project.root}")
    note("  next: track data with 'assay add FILE', then 'git commit'")
    return 0


@click.group("remote")
def remote_group() -> None:
    """Name the places where data is shared."""


@remote_group.command("add")
@click.argument("name")
@click.argument("url")
@click.option("-d", "--default", is_flag=True, help="Make it the default remote.")
@click.option("-f", "--force", is_flag=True, help="Overwrite a remote with this name.")
@click.option("--local", is_flag=True, help="Write to .dvc/config.local, which git ignores.")
def remote_add(name: str, url: str, default: bool, force: bool, local: bool) -> int:
    """Add the remote NAME at URL: a folder, for now."""
    project = workspace.find()
    if '"' in name or not name.strip():
        raise Usage(f"'{name}' cannot be the name of a remote")
    if name in project.config.remotes() and not force:
        raise Usage(
            f"there is a remote '{name}' already", hint="choose another name, or use --force"
        )
    remotes.kind_of(RemoteSettings(name=name, url=url))
    if "://" not in url and not url.startswith("~"):
        absolute = Path(os.path.normpath(Path.cwd() / url))
        if absolute.exists() and not absolute.is_dir():
            raise Error("this is a file, not a folder", where=url, hint="give a folder")
        folder = (project.home / ".dvc") if local else project.dvc_dir
        url = url if os.path.isabs(url) else os.path.relpath(absolute, folder)  # noqa: PTH117
    level: Level = "local" if local else "project"
    project.config.set(f'remote "{name}"', "url", url, level=level)
    if default:
        project.config.set("core", "remote", name, level=level)
        note(f"'{name}' is the default remote now")
    return 0


@remote_group.command("list")
@json_option
def remote_list(as_json: bool) -> int:
    """List the remotes."""
    config = workspace.find().config
    default = config.get("core", "remote")
    remotes = config.remotes()
    width = max((len(name) for name in remotes), default=0)
    lines = [
        f"{name:<{width}}  {r.url}{'  (default)' if name == default else ''}"
        for name, r in remotes.items()
    ]
    rows = [{"name": n, "url": r.url, "default": n == default} for n, r in remotes.items()]
    show(rows, as_json=as_json, text="\n".join(lines))
    return 0


@remote_group.command("default")
@click.argument("name", required=False)
@click.option("-u", "--unset", is_flag=True, help="Have no default remote.")
@click.option("--local", is_flag=True, help="Write to .dvc/config.local, which git ignores.")
def remote_default(name: str | None, unset: bool, local: bool) -> int:
    """Show the default remote, or make NAME the default."""
    config = workspace.find().config
    level: Level = "local" if local else "project"
    if unset:
        config.unset("core", "remote", level=level)
    elif name is None:
        show(None, as_json=False, text=config.remote().name)
    else:
        config.remote(name)
        config.set("core", "remote", name, level=level)
    return 0


@click.command("config")
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("-l", "--list", "list_all", is_flag=True, help="List all settings.")
@click.option("-u", "--unset", is_flag=True, help="Remove the setting.")
@click.option("--global", "user", is_flag=True, help="The file of this user.")
@click.option("--local", is_flag=True, help="The file of this clone, which git ignores.")
@json_option
def config_command(
    key: str | None,
    value: str | None,
    list_all: bool,
    unset: bool,
    user: bool,
    local: bool,
    as_json: bool,
) -> int:
    """Read or write a setting, such as core.remote (DVC's) or profile.auto (ours).

    'assay config schema' prints the JSON schema of assay.yaml, for editors.

    DVC's settings go to .dvc/config, ours to files of our own: DVC refuses what it does not know.
    What assay.yaml has under 'settings' holds for all clones, and is written there by hand.
    """
    from assay.project import settings

    if key == "schema" and value is None:
        from assay.project import declaration

        show(declaration.json_schema(), as_json=True, text="")
        return 0
    if user and local:
        raise Usage("'--global' and '--local' are two files: choose one")
    level: settings.Level | None = "global" if user else "local" if local else None
    store = settings.Store(workspace.find())
    if list_all or key is None:
        rows = store.all()
        show(rows, as_json=as_json, text="\n".join(f"{k}={v}" for k, v in rows.items()))
    elif unset:
        store.unset(key, level=level)
    elif value is None:
        found = store.get(key)
        if found is None:
            raise NotFound(f"'{key}' is not set", hint="see 'assay config --list'")
        show({key: found}, as_json=as_json, text=str(found))
    else:
        store.set(key, value, level=level)
    return 0
