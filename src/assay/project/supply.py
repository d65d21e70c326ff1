"""Who has the data of another repository: its cache, where that is here, and its remotes."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error, NotFound, did_you_mean
from assay.base.files import write_atomic
from assay.base.progress import counted, progress
from assay.objects import tree
from assay.objects.cache import Cache
from assay.objects.legacy import named
from assay.objects.remotes import Remote, RemoteSettings, open_remote
from assay.objects.transfer import item_of, key_of
from assay.project import config as configuration
from assay.project import git
from assay.project.config import Config
from assay.project.stages import Row, Version
from assay.project.workspace import Project


class Overrides(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says differently about another repository's remotes.

    Attributes
    ----------
    config : str, mapping or None
        A file in the form of `.dvc/config`, or the same as sections and options.
    remote : str, mapping or None
        The remote to use, or options of the default one.
    jobs : int or None
        Transfers at one time.
    """

    config: str | dict[str, Any] | None = None
    remote: str | dict[str, Any] | None = None
    jobs: int | None = None


class Supply:
    """Where objects of one project of another repository can be had."""

    def __init__(
        self,
        *,
        shown: str,
        cache: Cache | None,
        remotes: dict[str, RemoteSettings],
        default: str | None,
    ) -> None:
        self.shown, self._cache, self._remotes, self._default = shown, cache, remotes, default
        self._open: dict[str, Remote] = {}
        self._held: dict[str, tuple[str, Version]] = {}  # the key and version of a content
        self._lists: dict[str, list[tree.Entry]] = {}
        self._sizes: dict[str, int] = {}

    @classmethod
    def of(
        cls,
        project: Project,
        *,
        commit: str | None,
        overrides: Overrides,
        is_here: bool,
        shown: str,
        home: Path | None = None,
    ) -> Supply:
        """Read the configuration of a project: as it lies here, or as it is in a commit.

        Relative paths of a clone's configuration are as seen from `home`, where that is known.
        """
        config = project.config if is_here else _config_at(project, commit or "HEAD", home=home)
        remotes, default = _overridden(config, overrides)
        cache = project.cache if is_here else None
        return cls(shown=shown, cache=cache, remotes=remotes, default=default)

    def know(self, path: str, row: Row) -> None:
        """Remember which versions of a bucket the files of an output are; `path` is its own."""
        for one in row.versions:
            key = f"{path}/{one.relpath}" if one.relpath else path
            if one.version_id is not None:
                self._held.setdefault(one.oid, (key, one))
            if one.size is not None:
                self._sizes[one.oid] = one.size
        if row.is_directory and row.versions and row.oid is not None:
            self._lists[row.oid] = [tree.Entry(one.relpath, one.oid) for one in row.versions]

    def address(self, oid: str, *, remote: str | None = None) -> str:
        """Return where an object lies: on the remote, else in the cache."""
        settings = self._settings(remote)
        if settings is not None and settings.is_versioned and oid in self._held:
            return f"{settings.url.rstrip('/')}/{self._held[oid][0]}"
        if settings is not None:
            return f"{settings.url.rstrip('/')}/{key_of(oid)}"
        if self._cache is not None:
            return str(self._cache.path(oid))
        raise self._no_remote()

    def size_of(self, oid: str, cache: Cache) -> int | None:
        """Return the size of an object that is on this machine, or whose record says it."""
        for store in (cache, self._cache):
            if store is not None:
                try:
                    return os.stat(store.place(oid)).st_size  # noqa: PTH116 -- for every file
                except OSError:
                    continue
        return self._sizes.get(oid)

    def bring(self, oids: Sequence[str], cache: Cache, *, remote: str | None = None) -> None:
        """Copy objects into a cache, each checked by its hash.

        Raises
        ------
        Error
            If some cannot be had; the others are there then.
        """
        for oid in oids:
            if oid in self._lists and not cache.has(oid):
                tree.add(cache, self._lists[oid])
        missing = cache.lacking(dict.fromkeys(oids))
        if missing and self._cache is not None and self._cache.folder != cache.folder:
            missing = _copied(_as_remote(self._cache), missing, cache)
        if missing:
            settings = self._settings(remote)
            if settings is None:
                raise self._no_remote() if self._cache is None else self._lacking(missing)
            if settings.is_versioned:
                missing = self._fetched(settings, missing, cache)
            else:
                if settings.name not in self._open:
                    self._open[settings.name] = open_remote(settings)
                missing = _copied(self._open[settings.name], missing, cache)
        if missing:
            raise self._lacking(missing)

    def _fetched(self, settings: RemoteSettings, oids: list[str], cache: Cache) -> list[str]:
        """Copy recorded versions into a cache, and return the contents that are not there."""
        from assay.objects import versioned

        held = [(oid, self._held[oid]) for oid in oids if oid in self._held]
        files = [
            versioned.File(key, oid, one.version_id)
            for oid, (key, one) in held
            if one.remote in {None, settings.name}
        ]
        versioned.fetch(files, cache, versioned.open_versioned(settings))
        return cache.lacking(oids)

    def _settings(self, remote: str | None) -> RemoteSettings | None:
        name = remote or self._default
        if name is None:
            return None
        if name not in self._remotes:
            raise NotFound(
                f"the repository has no remote '{name}'",
                where=self.shown,
                hint=did_you_mean(name, self._remotes),
            )
        return configuration.based(self._remotes[name], self._remotes, where=self.shown)

    def _no_remote(self) -> Error:
        return NotFound(
            "the repository names no default remote, so its data cannot be had",
            where=self.shown,
            hint="name one of its remotes with '--remote', or set one there: assay remote add -d",
        )

    def _lacking(self, missing: list[str]) -> Error:
        names = ", ".join(named(oid) for oid in missing[:5])
        return Error(
            f"{counted(len(missing), 'object')} neither in its cache nor on its remote: {names}",
            where=self.shown,
            hint="run 'assay push' in a clone of it that has the data",
        )


def _copied(remote: Remote, oids: list[str], cache: Cache) -> list[str]:
    """Copy what a remote has into a cache, and return what it has not, or only damaged."""
    there = remote.find([key_of(oid) for oid in oids])
    items = [item_of(oid, cache) for oid in oids if key_of(oid) in there]
    if items:
        with progress("fetching", total=len(items)) as bar:
            remote.download(items, advance=bar.advance)
    return cache.lacking(oids)


def _as_remote(cache: Cache) -> Remote:
    """Return a cache as a remote: the layout is the same."""
    from assay.objects.remotes.local import LocalRemote

    folder = cache.folder.parent.parent
    return LocalRemote(RemoteSettings(name="cache", url=str(folder)))


def _config_at(project: Project, commit: str, *, home: Path | None = None) -> Config:
    """Read `.dvc/config` as it is in a commit, kept beside the clone for its paths."""
    relative = project.root.relative_to(project.git_root)
    text = git.read_file(project.git_root, commit, (relative / ".dvc" / "config").as_posix())
    folder = project.git_root / "at" / commit / relative / ".dvc"
    if not (folder / "config").exists():
        folder.mkdir(parents=True, exist_ok=True)
        write_atomic(folder / "config", text or b"")
    return Config.of(folder, seen_from=home and home / relative / ".dvc")


def _overridden(
    config: Config, overrides: Overrides
) -> tuple[dict[str, RemoteSettings], str | None]:
    """Return the remotes and the name of the default one, as a person wants them."""
    remotes, default = config.remotes(), config.get("core", "remote")
    for section, options in _sections(overrides.config).items():
        if section == "core":
            default = options.get("remote", default)
        elif section.startswith('remote "'):
            name = section[len('remote "') : -1]
            remotes[name] = _merged(remotes.get(name), name, options)
    if isinstance(overrides.remote, str):
        default = overrides.remote
    elif overrides.remote:
        default = default or "default"
        remotes[default] = _merged(remotes.get(default), default, overrides.remote)
    if overrides.jobs is not None and default in remotes:
        remotes[default] = _merged(remotes[default], default, {"jobs": overrides.jobs})
    return remotes, default


def _sections(given: str | dict[str, Any] | None) -> dict[str, dict[str, Any]]:
    if given is None:
        return {}
    if isinstance(given, str):
        try:
            text = Path(given).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise Error(f"the configuration cannot be read: {error}", where=given) from error
        return dict(configuration.parse(text, where=given))
    found: dict[str, dict[str, Any]] = {k: v for k, v in given.items() if k != "remote"}
    named = given.get("remote") or {}
    return found | {f'remote "{name}"': options for name, options in named.items()}


def _merged(
    before: RemoteSettings | None, name: str, options: dict[str, Any]
) -> RemoteSettings:  # fmt: skip
    rest = {key: str(value) for key, value in options.items() if key != "url"}
    url = options.get("url", before.url if before else None)
    if url is None:
        raise NotFound(f"remote '{name}' has no 'url'", hint="give it: --remote-config url=URL")
    return RemoteSettings(
        name=name, url=str(url), options=(before.options if before else {}) | rest
    )
