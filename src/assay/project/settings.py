"""`assay config`: DVC's keys go to DVC's files, ours to ours.

Ours may stand in four places: the environment, `.assay/config.toml` of the clone, `settings:` of
`assay.yaml`, which git keeps for the team, and the user's `config.toml`. A place is read when no
stronger one has the setting, and `assay.yaml` is parsed only where it speaks of settings: this is
read by commands that have nothing else to do.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from assay.base import settings
from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.base.files import explain, write_atomic
from assay.project import options
from assay.project.config import Level
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.project.grammar import Source

DECLARATION = "assay.yaml"

_FIRST = {key.partition(".")[0] for key in settings.SETTINGS}


class Setting(NamedTuple):
    """A setting that holds: its name, its value, and the file or place that says so."""

    key: str
    value: Any
    origin: str


class Store:
    """The settings of a project, DVC's and ours, to read and write."""

    def __init__(self, project: Project) -> None:
        self._project = project

    def _places(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Yield where our settings may stand, strongest first."""
        yield "the environment", self._environment
        yield str(self._local), self._of_clone
        yield DECLARATION, self._of_project
        yield str(self._user), self._of_user

    @cached_property
    def _environment(self) -> dict[str, str]:
        return {
            key: os.environ[settings.variable(key)]
            for key in settings.SETTINGS
            if settings.variable(key) in os.environ
        }

    @cached_property
    def _of_clone(self) -> dict[str, Any]:
        return _read_toml(self._local)

    @cached_property
    def _of_project(self) -> dict[str, Any]:
        return _read_declaration(self._project.root / DECLARATION)

    @cached_property
    def _of_user(self) -> dict[str, Any]:
        return _read_toml(self._user)

    @property
    def _local(self) -> Path:
        return self._project.home / ".assay" / "config.toml"

    @property
    def _user(self) -> Path:
        base = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
        return Path(base) / "assay" / "config.toml"

    def value(self, key: str) -> Any:
        """Return one of our settings, typed; an error names the variable that it stands in."""
        places = self._places()
        _, environment = next(places)
        return settings.resolve(key, chain([(settings.variable(key), environment)], places))

    def get(self, key: str, *, level: Level | None = None) -> Setting | None:
        """Return a setting as a person names it, or None where it is not set (in that file)."""
        if _is_ours(key):
            settings.known(key)
            if level is None:
                return self._one(key)
            return next((found for found in self._ours(level) if found.key == key), None)
        section, name = _split(key)
        config = self._project.config
        if level is None:
            found = config.origin(section, name)
        else:
            value = config.at(level).get(section, {}).get(name)
            found = None if value is None else (config.files[level], value)
        if found is None:
            return None
        return Setting(key, config.shown(section, name, found[1], file=found[0]), str(found[0]))

    def all(self, *, level: Level | None = None) -> list[Setting]:
        """Return all settings: ours with their defaults, and what is set of DVC's.

        With a level, only what stands in that file.
        """
        found = [*self._ours(level)]
        config = self._project.config
        sections = config.merged() if level is None else config.at(level)
        for section, values in sections.items():
            label = section.replace('remote "', "remote.").rstrip('"')
            keys = (f"{label}.{name}" for name in values)
            found += [one for key in keys if (one := self.get(key, level=level)) is not None]
        return found

    def _ours(self, level: Level | None) -> Iterator[Setting]:
        """Yield our settings that are in force, or those of one file."""
        if level is not None:
            path = {"global": self._user, "local": self._local}.get(level)
            values = {"global": self._of_user, "local": self._of_clone}.get(level, {})
            if level == "project":
                path, values = self._project.root / DECLARATION, self._of_project
            for key, value in values.items():
                yield Setting(key, settings.shown(key, value), str(path))
            return
        yield from (self._one(key) for key in settings.SETTINGS)

    def _one(self, key: str) -> Setting:
        """Return one of our settings; no place is looked at when a stronger one has it."""
        origin = next((where for where, values in self._places() if key in values), "default")
        return Setting(key, settings.shown(key, self.value(key)), origin)

    def set(
        self, key: str, value: str, *, level: Level | None, cwd: Path | None = None
    ) -> None:  # fmt: skip
        """Write a setting: by default to the project's file for DVC's, the clone's for ours."""
        if not _is_ours(key):
            section, name = _split(key)
            self._project.config.set(section, name, value, level=level or "project", cwd=cwd)
            return
        settings.known(key)
        path = self._place(key, level)
        _write_toml(path, key, settings.parse(key, value, where=str(path)))

    def unset(self, key: str, *, level: Level | None) -> None:
        """Remove a setting from its file."""
        if not _is_ours(key):
            section, name = _split(key)
            self._project.config.unset(section, name, level=level or "project")
            return
        settings.known(key)
        _write_toml(self._place(key, level), key, None)

    def _place(self, key: str, level: Level | None) -> Path:
        """Return the file in which one of our settings is written."""
        if level == "project":
            raise Usage(
                f"'{key}' of the project stands in {DECLARATION}, under 'settings'",
                where=self._project.root / DECLARATION,
                hint="write it there by hand; the file is yours",
            )
        if level == "system":
            raise Usage(
                f"'{key}' has no file for all users of a machine",
                hint="give '--global' for yours, or '--local' for this clone's",
            )
        return self._user if level == "global" else self._made_local()

    def _made_local(self) -> Path:
        return self._project.assay_dir / "config.toml"


def ledger_where(project: Project) -> Path | str:
    """Return what the project's ledger is opened by: the URL of a database, or a file.

    A linked work tree may be at a commit that says otherwise; its clone decides.
    """
    clone = project if project.root == project.home else Project(project.home)
    where = str(Store(clone).value("ledger.url"))
    if "://" in where:
        return where
    return project.home / Path(where).expanduser() if where else project.ledger_path


def has_ledger(project: Project) -> bool:
    """Tell whether something was recorded so far, or may have been: of a database nobody asks."""
    where = ledger_where(project)
    return isinstance(where, str) or where.exists()


def _is_ours(key: str) -> bool:
    return key.partition(".")[0] in _FIRST


def _split(key: str) -> tuple[str, str]:
    """Split `remote.NAME.option` or `section.option`."""
    section, _, name = key.rpartition(".")
    if not section or not name:
        names = sorted(f"{key}.{name}" for name in options.KEYS.get(key.lower(), ()))
        raise Usage(
            f"'{key}' is not a setting",
            hint=f"name one of {', '.join(names)}"
            if names
            else did_you_mean(key, settings.SETTINGS)
            or "name it as SECTION.OPTION, such as core.remote",
        )
    if section.lower().startswith("remote."):
        return f'remote "{section[7:].lower()}"', name.lower()
    options.check_key(section.lower(), name.lower())
    return section.lower(), name.lower()


def _read_toml(path: Path) -> dict[str, Any]:
    if not path.exists():
        return {}
    import tomllib

    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise Error(f"the settings cannot be read: {error}", where=path) from error
    flat = {}
    for section, values in data.items():
        if not isinstance(values, dict):
            raise Error(f"'{section}' is not a section", where=path)
        flat.update({f"{section}.{key}": value for key, value in values.items()})
    for key, value in flat.items():
        settings.check(key, value, where=str(path))
    return flat


def _read_declaration(path: Path) -> dict[str, Any]:
    """Return what `settings:` of `assay.yaml` says, by key.

    The rest of the file is not judged here: whoever needs a section does.
    """
    try:
        if b"settings" not in path.read_bytes():
            return {}
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise explain(error, path) from error
    from assay.project.grammar import Source

    source = Source.of(path, shown=DECLARATION)
    data = source.load()
    sections = data.get("settings") if isinstance(data, dict) else None
    return {} if sections is None else _checked(source, sections)


def _checked(source: Source, sections: Any) -> dict[str, Any]:
    """Return settings by key, each known and of its type.

    Raises
    ------
    Invalid
        With file, line, and the nearest name.
    """
    found = {}
    for section, values in _mapping(source, sections, ["settings"]).items():
        for name, value in _mapping(source, values, ["settings", section]).items():
            key = f"{section}.{name}"
            try:
                settings.check(key, value)
            except Usage as error:
                at = ["settings", section, name]
                raise source.fail(at, error.what, hint=error.hint) from error
            if settings.SETTINGS[key].secret:
                what = f"'{key}' is a secret, and git would keep it for everybody"
                at = ["settings", section, name]
                raise source.fail(at, what, hint=f"assay config {key} VALUE")
            found[key] = value
    return found


def _mapping(source: Source, value: Any, at: list[Any]) -> dict[str, Any]:
    if isinstance(value, dict):
        return value
    from assay.project.grammar import kind_of

    what = f"'{'.'.join(map(str, at))}' is {kind_of(value)}, not a mapping"
    raise source.fail(at, what, hint="write 'settings: {SECTION: {NAME: VALUE}}'")


def _write_toml(path: Path, key: str, value: Any) -> None:
    import tomlkit

    text = path.read_text(encoding="utf-8") if path.exists() else ""
    document = tomlkit.parse(text)
    section, _, name = key.partition(".")
    table: Any = document.setdefault(section, tomlkit.table())
    if value is not None:
        table[name] = value
    elif name in table:
        del table[name]
    else:
        raise NotFound(f"'{key}' is not set", where=path)
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomic(path, tomlkit.dumps(document))
