"""The files of a bundle, whole: read once, each checked against the index before it is used."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.errors import Error, NotFound
from assay.base.files import explain, inside, sync_filesystem, sync_folder, temporary_beside
from assay.bundle import index as indexes
from assay.bundle.index import INDEX, RECORD, Index

if TYPE_CHECKING:
    from assay.objects.cache import Cache


class NotWhole(Error):
    """A file of a bundle is changed, missing or one too many."""


class Contents(msgspec.Struct, frozen=True, kw_only=True):
    """A bundle's index and the bytes of its files, which have the hashes that the index names."""

    id: str
    index: Index
    files: dict[str, bytes]
    where: str

    @property
    def index_bytes(self) -> bytes:
        """The bytes of `bundle.json`."""
        return indexes.dump(self.index)


def make(index: Index, files: Mapping[str, bytes], *, where: str) -> Contents:
    """Return the contents of a new bundle."""
    content = indexes.dump(index)
    return Contents(id=indexes.id_of(content), index=index, files=dict(files), where=where)


def read_folder(folder: Path) -> Contents:
    """Read a bundle from its folder.

    Raises
    ------
    NotWhole
        If a file is changed, missing or one too many; all of them are named.
    NotFound
        If there is no `bundle.json`.
    """
    where = str(folder)
    content = _read(folder / INDEX, where=where)
    if content is None:
        raise NotFound(
            f"this is no bundle: it has no '{INDEX}'",
            where=where,
            hint="name the folder that assay.bundle(..., to=FOLDER) wrote",
        )
    index = indexes.load(content, where=str(folder / INDEX))
    wrong, files = [], {}
    for name, expected in index.files.items():
        path = inside(folder, name, where=str(folder / INDEX))
        found = _read(path, where=where)
        if found is None:
            wrong.append(f"'{name}' is missing")
        elif indexes.file_of(found) != expected:
            wrong.append(f"'{name}' was changed")
        else:
            files[name] = found
    extra = sorted(_names(folder) - {*index.files, INDEX, RECORD})
    wrong += [f"'{name}' is not in its index" for name in extra]
    return _whole(index, content, files, wrong, where=where)


def read_objects(objects: Cache, oid: str) -> Contents:
    """Read a bundle from an object store by the sha256 of its `bundle.json`.

    Raises
    ------
    NotFound
        If it, or a file of it, is not there.
    assay.Error
        If the bytes of an object are damaged, or are no bundle.
    """
    where = f"sha256:{oid}"
    content = objects.read(oid)
    index = indexes.load(content, where=where)
    files: dict[str, bytes] = {}
    for name, expected in index.files.items():
        inside(Path(), name, where=where)
        files[name] = objects.read(expected.sha256)
    wrong = [
        f"'{name}' was changed"
        for name, found in files.items()
        if indexes.file_of(found) != index.files[name]
    ]
    return _whole(index, content, files, wrong, where=where)


def keep(contents: Contents, objects: Cache) -> None:
    """Put the files of a bundle into an object store; the index last."""
    for content in (*contents.files.values(), contents.index_bytes):
        objects.add(content)


def write_folder(contents: Contents, folder: Path, *, record: bytes | None = None) -> None:
    """Write a bundle to a folder, as a whole or not at all; a bundle that is there is replaced.

    Parameters
    ----------
    record : bytes, optional
        What to write beside it as `record.json`.

    Raises
    ------
    assay.Error
        If something else lies there.
    """
    target = Path(os.path.abspath(folder))  # noqa: PTH100 -- a link keeps its own name
    _check_target(target, shown=folder)
    staged = temporary_beside(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        staged.mkdir()
        beside = {} if record is None else {RECORD: record}
        for name, content in {**beside, **contents.files, INDEX: contents.index_bytes}.items():
            path = inside(staged, name)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        sync_filesystem(staged)
        _swap(staged, target)
    except OSError as error:
        raise explain(error, folder) from error
    finally:
        shutil.rmtree(staged, ignore_errors=True)


def _swap(staged: Path, target: Path) -> None:
    aside = temporary_beside(target)
    if target.exists():
        target.replace(aside)
    try:
        staged.replace(target)
    except OSError:
        if aside.exists():
            aside.replace(target)
        raise
    sync_folder(target.parent)
    shutil.rmtree(aside, ignore_errors=True)


def _check_target(target: Path, *, shown: Path) -> None:
    if not target.exists() and not target.is_symlink():
        return
    is_bundle = target.is_dir() and ((target / INDEX).is_file() or not any(target.iterdir()))
    if not is_bundle or target.is_symlink():
        raise Error(
            "something else than a bundle lies there",
            where=shown,
            hint="it was left as it is; name another folder, or remove it first",
        )


def _whole(
    index: Index, content: bytes, files: dict[str, bytes], wrong: list[str], *, where: str
) -> Contents:
    wanted = {index.model.file, indexes.GOLDEN, indexes.REFERENCE}
    wrong += [f"'{name}' is not in its index" for name in sorted(wanted - {*index.files})]
    if wrong:
        raise NotWhole(
            f"the bundle is not whole: {'; '.join(wrong)}",
            where=where,
            hint="take it from where it was made; it was not loaded",
        )
    return Contents(id=indexes.id_of(content), index=index, files=files, where=where)


def _read(path: Path, *, where: str) -> bytes | None:
    """Return the bytes of a file; None where there is none. A link is no file of a bundle."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        if path.is_symlink():
            raise NotWhole(f"the bundle is not whole: '{path.name}' is a link", where=where) from (
                error
            )
        raise explain(error, path) from error
    with os.fdopen(descriptor, "rb") as handle:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise NotWhole(f"the bundle is not whole: '{path.name}' is no file", where=where)
        return handle.read()


def _names(folder: Path) -> set[str]:
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
