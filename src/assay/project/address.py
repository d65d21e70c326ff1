"""Data at an address of its own: a path on this machine, or a URL that a kind of remote opens.

Not a store of objects: what lies there has any name and any content. Its state is told as DVC
tells it: by MD5 where the bytes have to be read anyway, else by what the server says.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import NotFound
from assay.base.progress import progress
from assay.objects import scan, tree
from assay.objects.cache import DIR, Cache
from assay.objects.index import Index
from assay.objects.remotes import Entry, Remote, RemoteSettings, open_remote
from assay.objects.scan import Content
from assay.objects.staging import staging
from assay.project.clones import shown
from assay.project.config import Config

_MARKS = {"http": "checksum", "https": "checksum", "s3": "etag", "gs": "etag", "azure": "etag"}
"""What DVC compares by scheme; for any other it is the MD5."""


class Place(msgspec.Struct, frozen=True):
    """A file or folder at an address: its path below it, and its size where that is known."""

    relpath: str
    is_dir: bool
    size: int | None


class Address:
    """A path or URL, and what lies there.

    Attributes
    ----------
    shown : str
        For people, without user and password.
    path : Path or None
        Where it is on this machine.
    """

    def __init__(self, *, shown: str, path: Path | None, settings: RemoteSettings | None) -> None:
        self.shown, self.path, self._settings = shown, path, settings
        self._remote: Remote | None = None
        self._said: Entry | None = None
        self._asked = False

    @property
    def name(self) -> str:
        """The last part: what data from there are called."""
        text = str(self.path) if self.path is not None else self.shown
        return text.rstrip("/").rpartition("/")[2]

    @property
    def is_versioned(self) -> bool:
        """Whether what lies there is told by the versions of a bucket."""
        return self._settings is not None and self._settings.is_versioned

    @property
    def is_hashed(self) -> bool:
        """Whether its state is the MD5 of what lies there, and not what a server says."""
        return self.scheme not in _MARKS

    @property
    def scheme(self) -> str:
        """The kind of remote; `local` for a path."""
        return self._settings.url.partition("://")[0] if self._settings else "local"

    def places(self, *, deep: bool) -> list[Place] | None:
        """Return what is in a folder, sorted, or None for a single file.

        Parameters
        ----------
        deep : bool
            All files below it, and the folders here that are empty; else only what is in it.

        Raises
        ------
        NotFound
            If there is nothing.
        """
        if self.path is not None:
            if not os.path.lexists(self.path):
                raise self._missing()
            return self._local_places(self.path) if self.path.is_dir() else None
        if not self._is_folder():
            return None
        if deep:
            return [Place(e.key, is_dir=False, size=e.size) for e in self._entries()]
        inside = self._open().inside("")
        found = [Place(key, is_dir=True, size=None) for key in inside.folders]
        found += [Place(e.key, is_dir=False, size=e.size) for e in inside.files]
        if not found:
            self._refuse_nothing()
        return sorted(found, key=lambda place: place.relpath)

    @staticmethod
    def _local_places(folder: Path) -> list[Place]:
        found = []
        for place, folders, names in os.walk(folder):
            base = Path(place)
            if place != str(folder) and not folders and not names:
                found.append(Place(base.relative_to(folder).as_posix(), is_dir=True, size=None))
            for name in names:
                path = base / name
                relpath = path.relative_to(folder).as_posix()
                found.append(Place(relpath, is_dir=False, size=path.lstat().st_size))
        return sorted(found, key=lambda p: p.relpath)

    def state(self, index: Index) -> dict[str, Any]:
        """Return how a `.dvc` file records what lies there now, without `hash` and `path`."""
        if self.path is not None:
            if not os.path.lexists(self.path):
                raise self._missing()
            return _row(scan.scan(self.path, index, label=f"hashing {self.name}"))
        mark = _MARKS.get(self.scheme, "md5")
        if mark == "checksum":
            return self._http_state()
        if self.is_versioned:
            return self._versioned_state()
        if self._is_folder():
            return self._folder_state(mark)
        if mark == "md5":
            oid, size = self._open().get_file("", Path(os.devnull))
            return {"md5": oid, "size": size}
        entry = self._stat() or Entry("")
        row: dict[str, Any] = {mark: self._etag(entry)}
        return row if entry.size is None else row | {"size": entry.size}

    def _versioned_state(self) -> dict[str, Any]:
        """Return which version each file is; a folder is recorded by its files then."""
        from assay.objects import versioned

        entry = self._stat()
        if entry is not None and not entry.is_folder:
            return _version_of(entry)
        entries = versioned.newest(versioned.open_versioned(self._known), self._entries())
        return {"files": [{"relpath": one.key} | _version_of(one) for one in entries]}

    def _http_state(self) -> dict[str, Any]:
        from assay.objects.remotes.http import HTTPRemote
        from assay.project import http_mark

        remote = self._open()
        assert isinstance(remote, HTTPRemote)  # noqa: S101 -- the scheme says so
        found = http_mark.mark(remote.headers(""), url=self._url.rstrip("/"))
        if found is None:
            raise self._missing()
        checksum, size = found
        return {"checksum": checksum} | ({} if size is None else {"size": size})

    def _folder_state(self, mark: str) -> dict[str, Any]:
        """Return the state of a folder: the hash of its list, in which each file has its own."""
        import json

        from assay.objects.hashing import hash_bytes

        rows, size = [], 0
        for entry in self._entries():
            if mark == "md5":
                found, length = self._open().get_file(entry.key, Path(os.devnull))
            else:
                found, length = self._etag(entry), entry.size or 0
            rows.append({mark: found, "relpath": entry.key})
            size += length
        rows.sort(key=lambda row: row["relpath"])
        oid = hash_bytes(json.dumps(rows, sort_keys=True).encode()) + DIR
        return {"md5": oid, "size": size, "nfiles": len(rows)}  # also where files have ETags

    def _etag(self, entry: Entry) -> str:
        """Return an ETag as DVC writes it: that of Azure in quotes."""
        etag = (entry.etag or "").strip('"')
        return f'"{etag}"' if self.scheme == "azure" and etag else etag

    def store(
        self, cache: Cache, index: Index, *, recorded: Mapping[str, Any] | None = None
    ) -> Content:
        """Put what lies there into a cache, whatever its hash, and return its content.

        Where versions are kept it is those of the state that is `recorded`.
        """
        if self.path is not None:
            if not os.path.lexists(self.path):
                raise self._missing()
            return scan.store(self.path, cache, index, label=f"importing {self.name}")
        if recorded is not None and self.is_versioned:
            files = recorded.get("files")
            rows = [{"relpath": "", **recorded}] if files is None else files
            versions = {str(row["relpath"]): str(row.get("version_id") or "") for row in rows}
            is_folder = files is not None
        else:
            is_folder = self._is_folder()
            keys = [entry.key for entry in self._entries()] if is_folder else [""]
            versions = dict.fromkeys(keys, "")
        found = self._received(versions, cache)
        if not is_folder:
            [(_, oid, size)] = found
            return Content(oid=oid, size=size)
        entries = sorted(tree.Entry(key, oid) for key, oid, _ in found)
        entries = tree.load(tree.dump(entries), where=self.shown)  # no name leaves its folder
        oid = tree.add(cache, entries)
        size = sum(size for *_, size in found)
        return Content(oid=oid, size=size, n_files=len(entries), entries=entries)

    def _received(self, versions: dict[str, str], cache: Cache) -> list[tuple[str, str, int]]:
        """Put files into a cache, by key; each as the version that is named, or the newest."""
        from threading import Event

        from assay.objects.remotes.parallel import each

        found, moves = [], []
        with (
            staging(cache.folder) as stage,
            progress(f"importing {self.name}", total=len(versions)) as bar,
        ):
            remote = self._open()

            def one(key: str) -> tuple[str, str, str, int]:
                name = stage.new()
                which = {"version": versions[key]} if versions[key] else {}
                oid, size = remote.get_file(key, Path(name), **which)  # type: ignore[arg-type]
                Path(name).chmod(0o444)
                return key, name, oid, size

            jobs = getattr(remote, "jobs", 1)
            for key, name, oid, size in each(one, list(versions), jobs=jobs, stop=Event()):
                found.append((key, oid, size))
                moves.append((name, cache.place(oid)))
                bar.advance()
            stage.publish(moves)
        return found

    def _open(self) -> Remote:
        if self._settings is None:
            raise self._missing()
        if self._remote is None and self.is_versioned:
            from assay.objects import versioned

            self._remote = versioned.open_versioned(self._settings)
        elif self._remote is None:
            self._remote = open_remote(self._settings)
        return self._remote

    @property
    def _known(self) -> RemoteSettings:
        if self._settings is None:
            raise self._missing()
        return self._settings

    @property
    def _url(self) -> str:
        return self._settings.url if self._settings else self.shown

    def _stat(self) -> Entry | None:
        if not self._asked:
            self._said, self._asked = self._open().stat(""), True
        return self._said

    def _is_folder(self) -> bool:
        """Say whether it is no file; a bucket has no folders, only names that begin alike."""
        found = self._stat()
        if found is None and self.scheme in {"http", "https"}:
            raise self._missing()
        return found is None or found.is_folder

    def _entries(self) -> list[Entry]:
        """Return all files below a folder, sorted."""
        found = sorted(self._open().entries(""))
        if not found:
            self._refuse_nothing()
        return found

    def _refuse_nothing(self) -> None:
        """Raise, unless this is a folder that is empty."""
        if self._stat() is None:
            raise self._missing()

    def _missing(self) -> NotFound:
        return NotFound("there is nothing at this address", where=self.shown,
                        hint="check the path; nothing was changed")  # fmt: skip


def open_address(
    url: str,
    *,
    cwd: Path,
    config: Config | None = None,
    options: dict[str, str] | None = None,
) -> Address:
    """Open a path, a URL, or `remote://NAME/PATH` of a project's configuration."""
    extra = options or {}
    if url.startswith("remote://"):
        name, _, rest = url.removeprefix("remote://").partition("/")
        if config is None:
            raise NotFound(
                "there is no project here that names remotes",
                where=url,
                hint="run this inside of the project, or give the address itself",
            )
        named = config.remote(name)
        whole = f"{named.url.rstrip('/')}/{rest}".rstrip("/")
        if "://" not in whole or whole.startswith("file://"):
            path = Path(os.path.normpath(whole.removeprefix("file://") or "/"))
            return Address(shown=url, path=path, settings=None)
        settings = RemoteSettings(name=name, url=whole, options=named.options | extra)
        return Address(shown=url, path=None, settings=settings)
    if "://" not in url or url.startswith("file://"):
        path = Path(os.path.normpath(cwd / Path(url.removeprefix("file://")).expanduser()))
        return Address(shown=url, path=path, settings=None)
    settings = RemoteSettings(name=shown(url), url=url, options=extra)
    return Address(shown=shown(url), path=None, settings=settings)


def _version_of(entry: Entry) -> dict[str, Any]:
    row = {"etag": (entry.etag or "").strip('"'), "size": entry.size, "version_id": entry.version}
    return {key: value for key, value in row.items() if value is not None}


def _row(content: Content) -> dict[str, Any]:
    row: dict[str, Any] = {"md5": content.oid, "size": content.size}
    if content.n_files is not None:
        row["nfiles"] = content.n_files
    if content.is_executable:
        row["isexec"] = True
    return row
