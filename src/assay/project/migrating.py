r"""From DVC 2 to DVC 3: objects get the hash of their bytes, records the hash of their objects.

DVC 2 hashed text with `\r\n` read as `\n`, and kept objects as `cache/ab/cdef…`. An object is
taken over by hard link, after its old hash was checked; the list of a folder is written anew,
since it names its files by their old hashes. What is not in the cache keeps its old record.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from assay.base.errors import Error
from assay.base.files import write_atomic
from assay.base.progress import progress
from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.objects.hashing import hash_file
from assay.objects.tree import Entry
from assay.project import definition, dvcfile, edit, guarding
from assay.project.grammar import Source
from assay.project.workspace import Project

_CHUNK = 1 << 20
_TEXT = frozenset(range(0x20, 0x7F)) | frozenset(b"\n\r\t\f\b")
_NOT_TEXT = bytes(set(range(256)) - _TEXT)
_OLD = re.compile(r"[0-9a-f]{30}(\.dir)?")


class Migrated(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought to DVC 3's form, or would be.

    Attributes
    ----------
    objects : int
        Objects of the cache.
    records : list of str
        `.dvc` files and locks that were rewritten.
    left : list of str
        Paths of records that stay, since their content is not here.
    damaged : list of str
        Objects whose bytes do not have their old hash; they were not taken over.
    """

    objects: int
    records: list[str]
    left: list[str]
    damaged: list[str]


def migrate(project: Project, *, records: bool, dry: bool) -> Migrated:
    """Take the objects of DVC 2 over, and rewrite `.dvc` files and locks where `records`."""
    old = [*_old_objects(project)]
    if dry:
        paths = [p for p in _metafiles(project) if _has_old(p)] if records else []
        shown = [_shown(project, path) for path in paths]
        return Migrated(objects=len(old), records=shown, left=[], damaged=[])
    with guarding.using(project):
        names, damaged = _take_over(project.cache, old)
        renewed, left = _Renewal(project, names).all() if records else ([], [])
    return Migrated(objects=len(names), records=renewed, left=left, damaged=damaged)


def told(done: Migrated, *, dry: bool, records: bool) -> str:
    """Return what was done in words, those of DVC."""
    whole = f"Migrated {done.objects} files to DVC 3.0 cache location."
    would = f"{done.objects} files will be re-hashed and migrated to the DVC 3.0 cache location."
    lines = [would if dry else whole]
    lines += [f"damaged, and not migrated: {path}" for path in done.damaged]
    if records and not done.records:
        lines.append("No DVC files in the repo to migrate to the 3.0 format.")
    elif dry and records:
        lines.append("Entries in following DVC files will be migrated to the 3.0 format:")
        lines += [f"\t{path}" for path in done.records]
    else:
        kinds = {True: "lock", False: "DVC"}
        lines += [f"Updating {kinds[p.endswith('.lock')]} file '{p}'" for p in done.records]
    return "\n".join(lines)


def old_hash(path: str | Path) -> str:
    r"""Return DVC 2's hash of a file: of its text with `\r\n` as `\n`, chunk by chunk."""
    digest = hashlib.md5(usedforsecurity=False)
    with Path(path).open("rb") as handle:
        while chunk := handle.read(_CHUNK):
            digest.update(chunk.replace(b"\r\n", b"\n") if _is_text(chunk[:512]) else chunk)
    return digest.hexdigest()


def _is_text(head: bytes) -> bool:
    if b"\0" in head:
        return False
    strange = len(head) - len(head.translate(None, _NOT_TEXT))
    return strange / len(head) <= 0.30


def _old_objects(project: Project) -> Iterator[Path]:
    """Go through the objects of DVC 2's cache."""
    folder = project.cache.folder.parent.parent
    for shard in sorted(folder.glob("[0-9a-f][0-9a-f]")):
        yield from sorted(path for path in shard.iterdir() if _OLD.fullmatch(path.name))


def _shown(project: Project, path: Path) -> str:
    name = project.relative(path)
    return f"{name.removesuffix('lock')}yaml ({name})" if path.suffix == ".lock" else name


def _take_over(cache: Cache, old: list[Path]) -> tuple[dict[str, str], list[str]]:
    """Put old objects into the cache; returns new oids by old ones, and what is damaged."""
    files = [path for path in old if not path.name.endswith(DIR)]
    good: list[Path] = []
    damaged: list[Path] = []
    with progress("migrating", total=len(files)) as bar:
        for path in files:
            (good if old_hash(path) == _oid(path) else damaged).append(path)
            bar.advance(1)
    stored = cache.add_files(good, hardlink=True)
    names = {_oid(path): one.oid for path, one in zip(good, stored, strict=True)}
    for path in old:
        if not path.name.endswith(DIR):
            continue
        try:
            entries = _listed(path, names)
        except Error:
            damaged.append(path)
            continue
        if entries is not None:
            names[_oid(path)] = tree.add(cache, entries)
    return names, [str(path) for path in damaged]


def _oid(path: Path) -> str:
    return path.parent.name + path.name


def _listed(path: Path, names: dict[str, str]) -> list[Entry] | None:
    """Return the files of an old folder by their new hashes; None where one is not here."""
    content = path.read_bytes()
    if hashlib.md5(content, usedforsecurity=False).hexdigest() + DIR != _oid(path):
        raise Error("the list is damaged", where=path)
    entries = tree.load(content, where=path)
    if any(entry.oid not in names for entry in entries):
        return None
    return [Entry(entry.relpath, names[entry.oid]) for entry in entries]


def _metafiles(project: Project) -> Iterator[Path]:
    for path in definition.find_files(project):
        record = path.with_suffix(".lock") if path.suffix == ".yaml" else path
        if record.exists():
            yield record


def _has_old(path: Path) -> bool:
    return any(True for _ in _old_rows(Source.of(path).load() or {}, path))


def _old_rows(data: dict[str, Any], path: Path) -> Iterator[tuple[dict[str, Any], Path]]:
    """Yield the rows of a record that DVC 2 wrote, each with the folder its path begins in."""
    if path.suffix != ".lock":  # what an import came from is not ours to hash
        folder = path.parent / data.get("wdir", ".")
        yield from ((row, folder) for row in data.get("outs") or () if _is_old(row))
        return
    written = path.with_suffix(".yaml")
    stages = (Source.of(written).load() or {}).get("stages") if written.exists() else None
    for name, entry in (data.get("stages") or {}).items():
        stage = (stages or {}).get(name) or {}
        folder = path.parent / str(stage.get("wdir", "."))
        rows = (*(entry.get("deps") or ()), *(entry.get("outs") or ()))
        yield from ((row, folder) for row in rows if _is_old(row))


def _is_old(row: dict[str, Any]) -> bool:
    return "md5" in row and "hash" not in row


class _Renewal:
    """Rewrites records by what became of their objects."""

    def __init__(self, project: Project, names: dict[str, str]) -> None:
        self._project, self._names = project, names
        self._left: list[str] = []

    def all(self) -> tuple[list[str], list[str]]:
        """Rewrite every record; returns those that changed, and paths that stay as they are."""
        changed = [path for path in _metafiles(self._project) if self._rewrite(path)]
        return [self._project.relative(path) for path in changed], self._left

    def _rewrite(self, path: Path) -> bool:
        data = Source.of(path).load() or {}
        renewed = False
        for row, folder in _old_rows(data, path):
            oid = self._new(str(row["md5"]).lower(), folder / row["path"])
            if oid is None:
                self._left.append(self._project.shown(folder / row["path"]))
                continue
            row.update({"md5": oid, "hash": "md5"})
            renewed = True
        if not renewed:
            return False
        if path.suffix == ".lock":
            _order(data)
            text = path.read_text(encoding="utf-8")
            write_atomic(path, edit.updated(text, data, keep_order=False))
            return True
        if data.get("deps") and "md5" in data:
            data["md5"] = dvcfile.stage_md5(data)
        return edit.write(path, data)

    def _new(self, oid: str, path: Path) -> str | None:
        """Return the new hash of an old one: of the object, or of the file if that is it."""
        if oid in self._names:
            return self._names[oid]
        if path.is_file() and old_hash(path) == oid:
            return hash_file(str(path))[0]
        return None


def _order(data: dict[str, Any]) -> None:
    """Put the keys of a lock's rows in their order."""
    for entry in (data.get("stages") or {}).values():
        for row in (*(entry.get("deps") or ()), *(entry.get("outs") or ())):
            if "hash" in row:
                path, hash_ = row.pop("path"), row.pop("hash")
                rest = dict(row)
                row.clear()
                row.update({"path": path, "hash": hash_, **rest})
