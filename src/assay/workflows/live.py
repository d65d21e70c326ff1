"""Which objects are named: by work trees and commits, by the ledger, by registered models.

Whatever looks like an oid counts as one: an object that is kept without need costs space, one
that is missing costs a model. So a metafile that cannot be parsed keeps all it names.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error
from assay.objects import legacy, tree
from assay.objects.cache import Cache
from assay.objects.legacy import PREFIX
from assay.project import definition, git, revisions, yaml12
from assay.project.collecting import LOCK, History
from assay.project.revisions import Scope
from assay.project.settings import ledger_where
from assay.project.workspace import Project

if TYPE_CHECKING:
    from sqlalchemy import Row

    from assay.ledger.database import Ledger

_MD5 = re.compile(rb"(?<![0-9a-f])[0-9a-f]{32}(?:\.dir)?(?![0-9a-f])")
_SHA256 = re.compile(r"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])")
_LOOP = "refs/heads/assay"
_LARGEST = 64_000_000

LISTED = "listed:"
"""What stands before the oid of a folder that is recorded by its files, on a versioned remote."""


def of_metafile(name: str, content: bytes) -> set[str]:
    """Return the MD5s of the outputs that a `.dvc` file or lock names.

    Examples
    --------
    >>> row = b"{md5: d3b07384d113edec49eaa6238ad5ff00, hash: md5, path: a}"
    >>> of_metafile("a.dvc", b"outs: [" + row + b"]")
    {'d3b07384d113edec49eaa6238ad5ff00'}
    """
    if name.endswith(".yaml"):
        return set()
    try:
        data = yaml12.load(content.decode(), where=name) or {}
        stages = data["stages"].values() if Path(name).name == LOCK else [data]
        outs = [out for stage in stages for out in stage.get("outs") or []]
        texts = [(str(md5).lower(), "hash" in out) for out in outs for md5 in _md5s(out)]
        found = [row for row in texts if _MD5.fullmatch(row[0].encode())]
    except (Error, UnicodeDecodeError, AttributeError, LookupError, TypeError):
        oids = {oid.decode() for oid in _MD5.findall(content.lower())}
        return oids | {PREFIX + oid for oid in oids}
    named = {oid if is_new else PREFIX + oid for oid, is_new in found}
    return named | {LISTED + oid for out in outs for oid in _lists(out)}


def split(oids: Iterable[str]) -> tuple[set[str], set[str]]:
    """Return the oids that are named, and those of lists whose files are named by themselves.

    Examples
    --------
    >>> split({"listed:d751713988987e9331980363e24189ce.dir"})
    (set(), {'d751713988987e9331980363e24189ce.dir'})
    """
    every = set(oids)
    listed = {oid for oid in every if oid.startswith(LISTED)}
    return every - listed, {oid.removeprefix(LISTED) for oid in listed}


def _lists(out: dict[str, Any]) -> Iterator[str]:
    """Go through the list of a folder that is recorded by its files: nobody has to have it."""
    if "files" in out:
        rows = [(str(one["relpath"]), str(one["md5"]).lower()) for one in out["files"]]
        yield tree.oid_of(tree.Entry(*row) for row in rows)


def _md5s(value: Any) -> Iterator[Any]:
    """Go through what stands under `md5`, however deep: files of versioned remotes are lists."""
    if isinstance(value, dict):
        for key, inner in value.items():
            if key == "md5":
                yield inner
            else:
                yield from _md5s(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _md5s(inner)


def of_data(project: Project, scope: Scope) -> set[str]:
    """Return the MD5s that all work trees of the clone name, the loop's branches, and a scope.

    Raises
    ------
    NotFound
        If git does not know a revision.
    """
    live: set[str] = set()
    for root in _roots(project):
        live |= _of_work_tree(Project(root))
    if project.uses_git:
        commits = revisions.commits(project.git_root, scope, every_ref=True)
        live |= of_commits(project, dict.fromkeys([*commits, *loop_tips(project)]))
    return live


def _roots(project: Project) -> list[Path]:
    if not project.uses_git:
        return [project.root]
    inside = project.root.relative_to(project.git_root)
    roots = [root / inside for root in revisions.linked_roots(project.git_root)]
    return [root for root in roots if (root / ".dvc").is_dir()]


def _of_work_tree(project: Project) -> set[str]:
    live: set[str] = set()
    for path in definition.find_files(project):
        for file in (path, path.with_suffix(".lock")) if path.suffix == ".yaml" else (path,):
            try:
                live |= of_metafile(file.name, file.read_bytes())
            except FileNotFoundError:
                continue
    return live


def of_commits(project: Project, commits: Iterable[str]) -> set[str]:
    """Return the MD5s that commits name; each file is read once."""
    live: set[str] = set()
    seen: set[str] = set()
    with History(project) as history:
        for commit in commits:
            for file in history.metafiles(commit):
                if file.blob not in seen:
                    seen.add(file.blob)
                    live |= of_metafile(file.path, history.read(file))
    return live


def loop_tips(project: Project) -> list[str]:
    """Return the tips of the loop's branches: they hold the data of models in use."""
    out = git.git("for-each-ref", "--format=%(objectname)", _LOOP, cwd=project.git_root)
    return out.decode().split()


def of_registry(project: Project, ledger: Ledger) -> set[str]:
    """Return the MD5s that the runs of registered versions read and made."""
    from assay.deploy import registry
    from assay.ledger import models, runs

    live: set[str] = set()
    for version in models.find_versions(ledger):
        if version.run is not None:
            run = runs.get(ledger, version.run, with_deleted=True)
            live.update(registry.data_of(project, ledger, run))
    return live


def of_ledger(
    objects: Cache, ledger: Ledger, *, gone: AbstractSet[str] = frozenset()
) -> set[str]:  # fmt: skip
    """Return the SHA-256s that the ledger names, and those that documents among them name.

    Parameters
    ----------
    gone : set of str
        Ids of runs and logged models that do not count.
    """
    from sqlalchemy import Text, select

    from assay.ledger.tables import metadata

    named: set[str] = set()
    with ledger.read() as connection:
        for table in metadata.sorted_tables:
            columns = [column for column in table.c if isinstance(column.type, Text)]
            if columns:
                for row in connection.execute(select(*columns)):
                    if gone and _is_of(row, table.name, gone):
                        continue
                    for value in row:
                        if value is not None and len(value) >= 64:
                            named.update(_SHA256.findall(value))
    return with_documents(objects, named)


def _is_of(row: Row[Any], table: str, gone: AbstractSet[str]) -> bool:
    """Say whether a row belongs to a run or logged model that is among those of `gone`."""
    if table == "edge":
        return not gone.isdisjoint(end.removeprefix("run:") for end in row)
    found = row._mapping  # noqa: SLF001 -- its public way
    return table != "version" and any(
        found.get(key) in gone for key in ("id", "run_id", "model_id")
    )


def bundles_of(ledger: Ledger) -> list[str]:
    """Return the SHA-256s of the bundles that runs of a ledger made."""
    from sqlalchemy import select

    from assay.ledger.tables import edge

    prefix = "bundle:sha256:"
    query = select(edge.c.target).where(edge.c.target.startswith(prefix)).distinct()
    with ledger.read() as connection:
        return [one.removeprefix(prefix) for one in connection.execute(query).scalars()]


def with_documents(objects: Cache, named: Iterable[str]) -> set[str]:
    """Return oids with those that JSON documents of the store name, such as a bundle's index."""
    return set(documents(objects, named))


def documents(objects: Cache, named: Iterable[str]) -> dict[str, set[str]]:
    """Return oids with those that JSON documents name, each with what of the store it names."""
    found: dict[str, set[str]] = {}
    todo = list(named)
    while todo:
        oid = todo.pop()
        if oid not in found:
            found[oid] = {one for one in named_in(objects, oid) if objects.has(one)}
            todo += found[oid]
    return found


def named_in(objects: Cache, oid: str) -> set[str]:
    """Return the SHA-256s that an object names, where it is a JSON document."""
    return set(_SHA256.findall(_document(objects, oid)))


def _document(objects: Cache, oid: str) -> str:
    path = objects.place(oid)
    try:
        with open(path, "rb") as handle:  # noqa: PTH123 -- for every object
            if handle.read(1) not in {b"{", b"["} or os.fstat(handle.fileno()).st_size > _LARGEST:
                return ""
            return handle.read().decode(errors="replace")
    except OSError:
        return ""


def profiles_of(project: Project, oids: Iterable[str]) -> set[str]:
    """Return the profiles, by SHA-256, of contents that are live."""
    found = (project.index.derived(oid, "profile") for oid in oids)
    return {profile for profile in found if profile is not None}


def ledgers(project: Project) -> list[str]:
    """Return where the ledgers of the project are: those that are set, and the clone's own."""
    set_, own = str(ledger_where(project)), str(project.ledger_path)
    places = [os.environ.get("ASSAY_LEDGER"), set_, own]
    return [
        place
        for place in dict.fromkeys(places)
        if place is not None and ("://" in place or Path(place).exists())
    ]


def linked_from(root: Path, cache: Cache) -> set[str]:
    """Return the oids that symlinks in a work tree point to: they are files of a person."""
    stores = {False: cache, True: cache.of(PREFIX)}
    tops = {old: f"{os.path.realpath(store.folder)}/" for old, store in stores.items()}
    found: set[str] = set()
    for place, folders, names in os.walk(root):
        folders[:] = [name for name in folders if name not in {".git", ".dvc", ".assay"}]
        for name in names:
            path = f"{place}/{name}"
            if os.path.islink(path):  # noqa: PTH114 -- for every file
                target = os.path.realpath(path)
                for is_old, top in tops.items():
                    if target.startswith(top):
                        key = target.removeprefix(top)
                        oid = legacy.oid_of(key) if is_old else key.replace("/", "", 1)
                        found.update([oid] if oid else ())
    return found
