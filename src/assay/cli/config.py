"""`config`, `remote`, `cache`: what is set, and where data lies."""

from __future__ import annotations

import re
import shlex
from pathlib import Path
from typing import Any

import click

from assay.base.errors import Error, NotFound, Usage
from assay.cli.garbage import verify_command
from assay.cli.levels import level_options
from assay.cli.output import did, json_option, note, show, suggest_git_add
from assay.objects import remotes
from assay.objects.remotes import RemoteSettings
from assay.project import workspace
from assay.project.config import Level


class _WithValues(click.Command):
    """A command whose last argument may be a negative number."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            number = next((a for a in given if re.fullmatch(r"-\d[\d.]*", a)), None)
            if number is None or not number.startswith(error.option_name):
                raise
            at = given.index(number)
            line = shlex.join([*given[:at], "--", *given[at:]])
            raise Usage(
                f"'{number}' looks like an option",
                hint=f"a value that begins with '-' comes after '--': {ctx.command_path} {line}",
            ) from None


@click.command("config", cls=_WithValues)
@click.argument("key", required=False)
@click.argument("value", required=False)
@click.option("-l", "--list", "list_all", is_flag=True, help="List all settings.")
@click.option("-u", "--unset", is_flag=True, help="Remove the setting.")
@click.option("--show-origin", is_flag=True, help="Show the file that says so, too.")
@level_options
@json_option
def config_command(
    key: str | None,
    value: str | None,
    list_all: bool,
    unset: bool,
    show_origin: bool,
    level: Level | None,
    as_json: bool,
) -> int:
    """Read or write a setting, such as core.remote (DVC's) or profile.auto (ours).

    'assay config schema' prints the JSON schema of assay.yaml, for editors.

    DVC's settings go to .dvc/config, ours to files of our own: DVC refuses what it does not know.
    What assay.yaml has under 'settings' holds for all clones, and is written there by hand.
    """
    if key == "schema" and value is None:
        from assay.project import declaration

        show(declaration.json_schema(), as_json=True, text="")
        return 0
    from assay.project import settings

    if unset and (key is None or value is not None):
        raise Usage("'--unset' takes the name of one setting", hint="assay config --unset NAME")
    store = settings.Store(workspace.find())
    if list_all or key is None:
        _show_settings(store.all(level=level), origin=show_origin, as_json=as_json)
    elif unset:
        store.unset(key, level=level)
    elif value is not None:
        store.set(key, value, level=level, cwd=Path.cwd())
    else:
        found = store.get(key, level=level)
        if found is None:
            raise NotFound(f"'{key}' is not set", hint="see 'assay config --list'")
        document, origin = _document([found], origin=show_origin), f"{_shown(found.origin)}\t"
        text = f"{origin if show_origin else ''}{found.value}"
        show(document, as_json=as_json, text=text)
    return 0


def _show_settings(rows: list[Any], *, origin: bool, as_json: bool) -> None:
    lines = [
        (f"{_shown(row.origin)}\t" if origin else "") + f"{row.key}={row.value}" for row in rows
    ]
    show(_document(rows, origin=origin), as_json=as_json, text="\n".join(lines))


def _document(rows: list[Any], *, origin: bool) -> dict[str, Any]:
    if not origin:
        return {row.key: row.value for row in rows}
    return {row.key: {"value": row.value, "origin": row.origin} for row in rows}


def _shown(origin: str) -> str:
    """Return a file inside the current folder relative to it, as DVC does."""
    here = f"{Path.cwd()}/"
    return origin.removeprefix(here)


@click.group("remote")
def remote_group() -> None:
    """Name the places where data is shared."""


@remote_group.command("add")
@click.argument("name")
@click.argument("url")
@click.option("-d", "--default", is_flag=True, help="Make it the default remote.")
@click.option("-f", "--force", is_flag=True, help="Overwrite a remote with this name.")
@level_options
def remote_add(name: str, url: str, default: bool, force: bool, level: Level | None) -> int:
    """Add the remote NAME at URL: a folder, or an address such as s3://bucket/path.

    A relative folder is one from here.
    """
    config = workspace.find().config
    name = _name(name)
    if name in config.remotes() and not force:
        raise Usage(
            f"there is a remote '{name}' already", hint="choose another name, or use --force"
        )
    remotes.kind_of(config.based(RemoteSettings(name=name, url=url)))
    if "://" not in url and (Path.cwd() / url).is_file():
        raise Error("this is a file, not a folder", where=url, hint="give a folder")
    config.set(f'remote "{name}"', "url", url, level=level or "project", cwd=Path.cwd())
    if default:
        config.set("core", "remote", name, level=level or "project")
        note(f"'{name}' is the default remote now")
    return 0


def _name(name: str) -> str:
    """Return the name of a remote as it is written: DVC knows small letters only."""
    if '"' in name or "]" in name or not name.strip() or not name.isprintable():
        raise Usage(f"'{name}' cannot be the name of a remote")
    return name.lower()


@remote_group.command("list")
@level_options
@json_option
def remote_list(as_json: bool, level: Level | None) -> int:
    """List the remotes: all of them, or those of one file."""
    config = workspace.find().config
    default = (config.get("core", "remote") or "").lower()
    found = config.remotes()
    if level is not None:
        there = config.at(level)
        found = {name: one for name, one in found.items() if f'remote "{name}"' in there}
    width = max((len(name) for name in found), default=0)
    lines = [
        f"{name:<{width}}  {r.url}{'  (default)' if name == default else ''}"
        for name, r in found.items()
    ]
    rows = [{"name": n, "url": r.url, "default": n == default} for n, r in found.items()]
    show(rows, as_json=as_json, text="\n".join(lines))
    return 0


@remote_group.command("default")
@click.argument("name", required=False)
@click.option("-u", "--unset", is_flag=True, help="Have no default remote.")
@level_options
def remote_default(name: str | None, unset: bool, level: Level | None) -> int:
    """Show the default remote, or make NAME the default."""
    config = workspace.find().config
    if unset:
        config.unset("core", "remote", level=level or "project")
    elif name is None:
        show(None, as_json=False, text=config.remote().name)
    else:
        config.set("core", "remote", config.remote(name).name, level=level or "project")
    return 0


@remote_group.command("modify", cls=_WithValues)
@click.argument("name")
@click.argument("option")
@click.argument("value", required=False)
@click.option("-u", "--unset", is_flag=True, help="Remove the option.")
@level_options
def remote_modify(
    name: str, option: str, value: str | None, unset: bool, level: Level | None
) -> int:
    """Set an OPTION of a remote, such as 'endpointurl'.

    Secrets such as 'secret_access_key' belong into the file that git ignores: give --local.
    """
    config = workspace.find().config
    section, option = f'remote "{name.lower()}"', option.lower()
    if section not in config.merged():
        raise config.no_remote(name.lower())  # 'url' of a misspelt name would make a new one
    if unset == (value is not None):
        raise Usage(
            "give a value, or '--unset'", hint=f"assay remote modify {name} {option} VALUE"
        )
    if value is None:
        config.remote(name)
        config.unset(section, option, level=level or "project")
    else:
        config.set(section, option, value, level=level or "project", cwd=Path.cwd())
    return 0


@remote_group.command("rename")
@click.argument("name")
@click.argument("new")
@level_options
def remote_rename(name: str, new: str, level: Level | None) -> int:
    """Rename a remote, in .dvc/config and .dvc/config.local, and where it is the default."""
    levels: tuple[Level, ...] = (level,) if level else ("project", "local")
    workspace.find().config.rename_remote(name, _name(new), levels=levels)
    return 0


@remote_group.command("remove")
@click.argument("name")
@level_options
def remote_remove(name: str, level: Level | None) -> int:
    """Remove a remote from .dvc/config and .dvc/config.local. What lies there stays there."""
    levels: tuple[Level, ...] = (level,) if level else ("project", "local")
    workspace.find().config.remove_remote(name, levels=levels)
    return 0


@click.group("cache")
def cache_group() -> None:
    """Look after the objects on this machine."""


@cache_group.command("dir")
@click.argument("folder", required=False)
@click.option("-u", "--unset", is_flag=True, help="Have the cache where it is by default.")
@level_options
@json_option
def cache_dir(folder: str | None, unset: bool, level: Level | None, as_json: bool) -> int:
    """Show where the cache lies, or have it in FOLDER.

    Objects that are in the old folder stay there: move them, or run 'assay pull'.
    """
    project = workspace.find()
    if unset:
        project.config.unset("cache", "dir", level=level or "project")
    elif folder is not None:
        project.config.set("cache", "dir", folder, level=level or "project", cwd=Path.cwd())
    else:
        place = project.config.path("cache", "dir") or project.home / ".dvc" / "cache"
        show({"dir": place}, as_json=as_json, text=str(place))
    return 0


@cache_group.command("migrate")
@click.option("--dvc-files", is_flag=True, help="Rewrite .dvc files and locks of DVC 2 too.")
@click.option("--dry", is_flag=True, help="Only say what would be done.")
@json_option
def cache_migrate(dvc_files: bool, dry: bool, as_json: bool) -> int:
    """Bring objects of DVC 2 to where DVC 3 and Assay have them; no data is written twice."""
    from assay.project import migrating

    project = workspace.find()
    done = migrating.migrate(project, records=dvc_files, dry=dry)
    did(done, as_json=as_json, text=migrating.told(done, dry=dry, records=dvc_files))
    for path in done.left:
        note(f"  warning: '{path}' stays as it is: its objects are not in the cache")
    if not (dry or as_json):
        suggest_git_add(project, [project.root / name for name in done.records])
    return 0


cache_group.add_command(verify_command)
