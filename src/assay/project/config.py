"""`.dvc/config`: DVC's INI files, four of them, the later one wins. Ours never go in there.

How the text is read and edited is `ini`'s business, what may stand in it that of `options`.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from assay.base.errors import Error, NotFound, Usage, did_you_mean
from assay.base.files import explain, write_atomic
from assay.objects.links import DEFAULT, LINK_TYPES, LinkType
from assay.objects.remotes import RemoteSettings
from assay.project import ini, options
from assay.project.ini import Sections, parse
from assay.project.options import KEYS

__all__ = ["KEYS", "LEVELS", "Config", "Level", "Sections", "parse"]

Level = Literal["system", "global", "project", "local"]

LEVELS: tuple[Level, ...] = ("system", "global", "project", "local")


class Config:
    """The merged configuration of a project.

    Parameters
    ----------
    files : dict
        The file of each level, weakest first.
    """

    def __init__(self, files: dict[Level, Path]) -> None:
        self.files = files
        self._levels: dict[Level, Sections] = {level: _read(path) for level, path in files.items()}

    @classmethod
    def of(
        cls, dvc_dir: Path, *, local_dir: Path | None = None, seen_from: Path | None = None
    ) -> Config:
        """Open the configuration around a `.dvc` folder.

        `local_dir` is the `.dvc` folder that has `config.local`, where it is another one: that of
        the clone to which a linked work tree belongs. `seen_from` is the one that relative paths
        belong to, where this one has a copy of its file.
        """
        system = os.environ.get("DVC_SYSTEM_CONFIG_DIR", "/etc/xdg/dvc")
        user = os.environ.get("DVC_GLOBAL_CONFIG_DIR")
        if user is None:
            base = os.environ.get("XDG_CONFIG_HOME") or str(Path("~/.config").expanduser())
            user = f"{base}/dvc"
        found = cls(
            {
                "system": Path(system) / "config",
                "global": Path(user) / "config",
                "project": dvc_dir / "config",
                "local": (local_dir or dvc_dir) / "config.local",
            }
        )
        if seen_from is not None:
            found.files["project"] = seen_from / "config"
        return found

    def get(self, section: str, key: str) -> str | None:
        """Return an option as it counts, or None."""
        found = self.origin(section, key)
        return found[1] if found else None

    def origin(self, section: str, key: str) -> tuple[Path, str] | None:
        """Return the file that decides an option, and its value."""
        for level in reversed(list(self.files)):
            value = self._levels[level].get(section, {}).get(key)
            if value is not None:
                return self.files[level], value
        return None

    def at(self, level: Level) -> Sections:
        """Return what one file says."""
        return self._levels[level]

    def shown(self, section: str, key: str, value: str, *, file: Path) -> str:
        """Return a value of a file as it is printed: a relative path is made absolute."""
        kind = options.kind_of(section, key, url=self.get(section, "url"))
        return (
            str(_absolute(value, file.parent)) if kind == "path" and _is_folder(value) else value
        )

    def flag(self, section: str, key: str, *, default: bool = False) -> bool:
        """Return a boolean option."""
        value = self.get(section, key)
        if value is None:
            return default
        if value.lower() not in {"true", "false"}:
            raise Error(f"'{section}.{key}' is {value!r}, not 'true' or 'false'")
        return value.lower() == "true"

    def path(self, section: str, key: str) -> Path | None:
        """Return an option that is a path; a relative one belongs to the folder of its file."""
        found = self.origin(section, key)
        if found is None:
            return None
        return _absolute(found[1], found[0].parent)

    def merged(self) -> Sections:
        """Return all options as they count."""
        merged: Sections = {}
        for level in self.files:
            for section, values in self._levels[level].items():
                merged.setdefault(section, {}).update(values)
        return merged

    def link_types(self) -> tuple[LinkType, ...]:
        """Return `cache.type`, the preferred link type first."""
        value = self.get("cache", "type")
        if value is None:
            return DEFAULT
        asked = [part.strip() for part in value.split(",") if part.strip()]
        for part in asked:
            if part not in LINK_TYPES:
                raise Error(
                    f"'cache.type' names '{part}', which is none of {', '.join(LINK_TYPES)}",
                    where=self.files["project"],
                    hint=did_you_mean(part, LINK_TYPES),
                )
        return tuple(t for a in asked for t in LINK_TYPES if t == a)

    def remotes(self) -> dict[str, RemoteSettings]:
        """Return all remotes by name as they are written, their folders and files made absolute.

        One whose address is `remote://OTHER/sub` is opened as `based` has it.
        """
        found = {}
        for section in self.merged():
            if match := re.fullmatch(r'remote "(.*)"', section):
                values = {key: self._meant(section, key) for key in self.merged()[section]}
                url = values.pop("url", None)
                if url is None:
                    raise Error(f"remote '{match[1]}' has no 'url'", where=self.files["project"])
                found[match[1]] = RemoteSettings(name=match[1], url=url, options=values)
        return found

    def _meant(self, section: str, key: str) -> str:
        file, value = self.origin(section, key) or (Path(), "")
        return self.shown(section, key, value, file=file)

    def remote(self, name: str | None = None) -> RemoteSettings:
        """Return the remote `name`, or the default one.

        Raises
        ------
        NotFound
            If there is none, with the command that makes one.
        """
        remotes = self.remotes()
        wanted = (name or self.get("core", "remote") or "").lower() or None
        if wanted is None:
            hint = (
                f"choose one with 'assay remote default {next(iter(remotes))}', or give '-r NAME'"
                if remotes
                else "make one with 'assay remote add -d storage FOLDER'"
            )
            raise NotFound(
                "no default remote is set", where=self.files["project"], hint=hint
            )  # fmt: skip
        if wanted not in remotes:
            raise NotFound(
                f"there is no remote '{wanted}'",
                where=self.files["project"],
                hint=did_you_mean(wanted, remotes) or "see 'assay remote list'",
            )
        return self.based(remotes[wanted])

    def based(self, one: RemoteSettings) -> RemoteSettings:
        """Return a remote with its own address, where it is written as a place on another one."""
        return based(one, self.remotes(), where=self.files["project"])

    def set(
        self,
        section: str,
        key: str,
        value: str,
        *,
        level: Level = "project",
        cwd: Path | None = None,
    ) -> None:
        """Write one option, in place, keeping the rest of the file as it is.

        With `cwd` a relative path is one from there, and written as one from the file's folder.

        Raises
        ------
        Usage
            If real DVC would fail on the option or its value; then nothing is written.
        """
        url = value if key == "url" else self.get(section, "url")
        if '"' in section and url is None:
            raise self.no_remote(section.partition('"')[2].rstrip('"'))
        options.check_key(section, key, url=url)
        options.check_value(section, key, value, url=url)
        if key == "url" and '"' in section:
            self._check_options(section, url=value)
        path = self.files[level]
        is_path = options.kind_of(section, key, url=url) == "path" and _is_folder(value)
        if cwd is not None and is_path and not value.startswith(("/", "~")):
            value = os.path.relpath(cwd / value, path.parent)
        self._write({level: ini.with_option(_text(path), section, key, value)})

    def unset(self, section: str, key: str, *, level: Level = "project") -> None:
        """Remove one option; one that is not set is an error."""
        path = self.files[level]
        if key not in self._levels[level].get(section, {}):
            raise NotFound(
                f"'{section}.{key}' is not set", where=path, hint=self._elsewhere(section, key)
            )
        if key == "url" and '"' in section:
            raise Usage(
                "a remote cannot be without an address",
                where=path,
                hint="change it with 'assay remote modify NAME url URL', or remove the remote",
            )
        self._write({level: ini.without_option(_text(path), section, key)})

    def rename_remote(self, old: str, new: str, *, levels: tuple[Level, ...]) -> None:
        """Rename a remote, and the default where it is that, in all files or in none."""
        old, new = old.lower(), new.lower()
        self._check_remote(old, levels)
        if new in self.remotes():
            raise Usage(f"there is a remote '{new}' already", hint="choose another name")
        texts = {}
        for level in levels:
            text = _text(self.files[level])
            edited = ini.renamed_section(text, f'remote "{old}"', f'remote "{new}"')
            if self._levels[level].get("core", {}).get("remote", "").lower() == old:
                edited = ini.with_option(edited, "core", "remote", new)
            texts[level] = edited
        self._write(texts)

    def remove_remote(self, name: str, *, levels: tuple[Level, ...]) -> None:
        """Remove a remote, and the default where it is that, from all files or from none."""
        name = name.lower()
        self._check_remote(name, levels)
        texts = {}
        for level in levels:
            text = _text(self.files[level])
            if self._levels[level].get("core", {}).get("remote", "").lower() == name:
                text = ini.without_option(text, "core", "remote")
            text = ini.without_section(text, f'remote "{name}"')
            texts[level] = text
        self._write(texts)

    def no_remote(self, name: str) -> NotFound:
        """Return the error that says a remote does not exist."""
        hint = did_you_mean(name, self.remotes()) or "see 'assay remote list'"
        return NotFound(f"there is no remote '{name}'", where=self.files["project"], hint=hint)

    def _check_remote(self, name: str, levels: tuple[Level, ...]) -> None:
        """Raise unless a remote is in these files, and nothing of it stays in another one."""
        section = f'remote "{name}"'
        there = [level for level in self.files if section in self._levels[level]]
        if not set(there) & set(levels):
            hint = f"give '--{there[0]}': it is in {self.files[there[0]]}" if there else None
            missing = self.no_remote(name)
            raise missing if hint is None else NotFound(missing.what, where=name, hint=hint)
        kept = [level for level in there if level not in levels]
        if kept and not any("url" in self._levels[level][section] for level in kept):
            raise Usage(
                f"the file has options of the remote '{name}' too, which would have no address",
                where=self.files[kept[0]],
                hint=f"change both files, or give '--{kept[0]}' first",
            )

    def _check_options(self, section: str, *, url: str) -> None:
        """Raise if a remote has options that one with another address cannot have."""
        for key, value in self.merged().get(section, {}).items():
            if key != "url":
                options.check_key(section, key, url=url)
                options.check_value(section, key, value, url=url)

    def _elsewhere(self, section: str, key: str) -> str:
        for level in self.files:
            if key in self._levels[level].get(section, {}):
                return f"it is set in {self.files[level]}: give '--{level}'"
        return "see 'assay config --list'"

    def _write(self, texts: Mapping[Level, str]) -> None:
        """Write all files, or leave them all as they were."""
        before = {level: _text(self.files[level]) for level in texts}
        done: list[Level] = []
        try:
            for level, text in texts.items():
                if text != before[level]:
                    write_in(self.files[level], text)
                    done.append(level)
        except BaseException:
            for level in done:
                write_in(self.files[level], before[level])
            raise
        self._levels.update({level: _read(self.files[level]) for level in texts})


def based(
    one: RemoteSettings, known: Mapping[str, RemoteSettings], *, where: str | Path
) -> RemoteSettings:
    """Return a remote whose address is `remote://OTHER/sub` as that place, with OTHER's options.

    Its own options count above those of the other one.

    Raises
    ------
    Error
        If there is no such other remote, or it lies on this one.
    """
    passed = [one.name]
    while one.url.startswith("remote://"):
        other, _, below = one.url.removeprefix("remote://").partition("/")
        base = known.get(other.lower())
        if base is None:
            raise NotFound(
                f"remote '{passed[-1]}' lies on '{other}', and there is no such remote",
                where=where,
                hint=did_you_mean(other, known) or "see 'assay remote list'",
            )
        if base.name in passed:
            raise Error(
                f"remote '{one.name}' lies on itself: {' -> '.join([*passed, base.name])}",
                where=where,
                hint=f"give it an address: assay remote modify {one.name} url URL",
            )
        passed.append(base.name)
        url = f"{base.url.rstrip('/')}/{below}".rstrip("/") if below else base.url
        one = RemoteSettings(name=one.name, url=url, options=base.options | one.options)
    return one


def write_in(path: Path, text: str) -> None:
    """Write a configuration file, making its folder where it is missing."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise explain(error, path.parent) from error
    write_atomic(path, text)


def _read(path: Path) -> Sections:
    return ini.parse(_text(path), where=path)


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""
    except (OSError, UnicodeDecodeError) as error:
        raise Error(f"cannot be read: {error}", where=path) from error


def _is_folder(value: str) -> bool:
    return "://" not in value


def _absolute(value: str, base: Path) -> Path:
    return Path(os.path.normpath(base / Path(value).expanduser()))
