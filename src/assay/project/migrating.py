r"""From DVC 2 to DVC 3: objects get the hash of their bytes, records the hash of their objects.

DVC 2 hashed text with `\r\n` read as `\n`, and kept objects as `cache/ab/cdef…`. An object is
taken over by hard link, after its old hash was checked; the list of a folder is written anew,
since it names its files by their old hashes. What is not in the cache keeps its old record.
"""

from __future__ import annotations

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
from assay.objects.legacy import PREFIX
from assay.objects.tree import Entry
from assay.project import definition, dvcfile, edit, guarding
from assay.project.grammar import Source
from assay.project.workspace import Project


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
    old = [*project.cache.of(PREFIX)]
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


def _shown(project: Project, path: Path) -> str:
    name = project.relative(path)
    return f"{name.removesuffix('lock')}yaml ({name})" if path.suffix == ".lock" else name


def _take_over(cache: Cache, old: list[str]) -> tuple[dict[str, str], list[str]]:
    """Put old objects into the cache; returns new oids by old ones, and where damaged ones lie."""
    files = [oid for oid in old if not oid.endswith(DIR)]
    good: list[str] = []
    damaged: list[str] = []
    with progress("migrating", total=len(files)) as bar:
        for oid in files:
            (good if cache.verify(oid) else damaged).append(oid)
            bar.advance(1)
    stored = cache.add_files((cache.place(oid) for oid in good), hardlink=True)
    names = {oid: one.oid for oid, one in zip(good, stored, strict=True)}
    for oid in old:
        if not oid.endswith(DIR):
            continue
        try:
            entries = _listed(cache, oid, names)
        except Error:
            damaged.append(oid)
            continue
        if entries is not None:
            names[oid] = tree.add(cache, entries)
    return names, [cache.place(oid) for oid in damaged]


def _listed(cache: Cache, oid: str, names: dict[str, str]) -> list[Entry] | None:
    """Return the files of an old folder by their new hashes; None where one is not here."""
    place = cache.path(oid)
    if not cache.verify(oid):
        raise Error("the list is damaged", where=place)
    entries = [
        Entry(name, PREFIX + md5) for name, md5 in tree.load(place.read_bytes(), where=place)
    ]
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
            oid = self._new(PREFIX + str(row["md5"]).lower(), folder / row["path"])
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
        if path.is_file() and hash_file(path, algorithm="md5-dos2unix")[0] == oid:
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
