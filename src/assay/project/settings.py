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
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from assay.base import settings
from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.base.files import explain, write_atomic
from assay.project import config as dvc_config
from assay.project.workspace import Project

if TYPE_CHECKING:
    from assay.project.grammar import Source

Level = Literal["global", "local"]

DECLARATION = "assay.yaml"

_FIRST = {key.partition(".")[0] for key in settings.SETTINGS}


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
        """Return one of our settings, typed."""
        return settings.resolve(key, self._places())

    def get(self, key: str) -> Any:
        """Return a setting as a person names it, or None where it is not set."""
        if _is_ours(key):
            settings.known(key)
            return self.value(key)
        section, name = _split(key)
        return self._project.config.get(section, name)

    def all(self) -> dict[str, Any]:
        """Return all settings: ours with their defaults, and what is set of DVC's."""
        found = {key: self.value(key) for key in settings.SETTINGS}
        for section, options in self._project.config.merged().items():
            label = section.replace('remote "', "remote.").rstrip('"')
            found.update({f"{label}.{name}": value for name, value in options.items()})
        return found

    def set(self, key: str, value: str, *, level: Level | None) -> None:
        """Write a setting: by default to the project's file for DVC's, the clone's for ours."""
        if not _is_ours(key):
            section, name = _split(key)
            self._project.config.set(section, name, value, level=level or "project")
            return
        settings.known(key)
        path = self._user if level == "global" else self._made_local()
        _write_toml(path, key, settings.parse(key, value, where=str(path)))

    def unset(self, key: str, *, level: Level | None) -> None:
        """Remove a setting from its file."""
        if not _is_ours(key):
            section, name = _split(key)
            self._project.config.unset(section, name, level=level or "project")
            return
        settings.known(key)
        _write_toml(self._user if level == "global" else self._made_local(), key, None)

    def _made_local(self) -> Path:
        return self._project.assay_dir / "config.toml"


def _is_ours(key: str) -> bool:
    return key.partition(".")[0] in _FIRST


def _split(key: str) -> tuple[str, str]:
    """Split `remote.NAME.option` or `section.option`."""
    section, _, name = key.rpartition(".")
    if not section or not name:
        options = sorted(f"{key}.{name}" for name in dvc_config.KEYS.get(key.lower(), ()))
        raise Usage(
            f"'{key}' is not a setting",
            hint=f"name one of {', '.join(options)}"
            if options
            else did_you_mean(key, settings.SETTINGS)
            or "name it as SECTION.OPTION, such as core.remote",
        )
    if section.lower().startswith("remote."):
        return f'remote "{section[7:]}"', name.lower()
    dvc_config.check_key(section.lower(), name.lower())
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
