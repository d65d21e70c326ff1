"""What another repository, or an address, has: listed, and measured. Nothing is fetched but lists.

Works outside of a project too; a clone that git has to make is gone afterwards then.
"""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import msgspec

from assay.base.errors import NotFound
from assay.objects.cache import Cache
from assay.objects.legacy import plain
from assay.project import clones, workspace
from assay.project.address import open_address
from assay.project.external import Node, Repository
from assay.project.supply import Overrides
from assay.project.workspace import Project


class Listed(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder of a listing; the keys are those of DVC's JSON."""

    isout: bool
    isdir: bool
    isexec: bool
    size: int | None
    md5: str | None
    path: str


class Branch(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder with what is in it."""

    listed: Listed
    inside: list[Branch] = []


class Size(msgspec.Struct, frozen=True, kw_only=True):
    """How much a path holds, in bytes; of the whole the path is empty."""

    path: str
    size: int


@contextlib.contextmanager
def opened(
    url: str, *, cwd: Path, rev: str | None = None, overrides: Overrides | None = None
) -> Iterator[Repository]:
    """Open another repository: its workspace where it is a folder here and no revision is asked.

    Lists of files go to the cache of the project around `cwd`, or where there is none, to a
    folder that is taken away.
    """
    project = around(cwd)
    with tempfile.TemporaryDirectory(prefix="assay-") as passing:
        local = project is None or clones.is_folder(url, cwd=cwd)  # then no clone is made
        home = Path(passing) if local or project is None else project.assay_dir
        cache = Cache(Path(passing) / "files" / "md5") if project is None else project.cache
        yield clones.open_repository(
            url, cwd=cwd, clones=home / "clones", cache=cache, rev=rev, overrides=overrides
        )


def around(cwd: Path) -> Project | None:
    """Return the project around a folder, or None."""
    try:
        return workspace.find(cwd)
    except NotFound:
        return None


def list_(
    source: Repository,
    path: str | None = None,
    *,
    recursive: bool = False,
    depth: int | None = None,
    only_data: bool = False,
) -> list[Listed]:
    """List a folder, or all below it, sorted by path; a file is listed alone.

    `depth` stops a recursive listing: what is that deep is listed, not opened.
    """
    node = source.find(path or "")
    if not node.is_dir or depth == 0:
        return [_listed(node, node.name or ".")]
    prefix = len(node.path) + 1 if node.path else 0
    limit = depth if recursive else 1
    found = [
        _listed(inner, inner.path[prefix:])
        for inner, level in _walk(source, node, limit=limit)
        if not inner.is_dir or level == limit
        if not only_data or inner.is_out or _holds_data(source, inner)
    ]
    return sorted(found, key=lambda row: row.path)


def tree(
    source: Repository,
    path: str | None = None,
    *,
    depth: int | None = None,
    only_data: bool = False,
) -> Branch:
    """Return a folder with all below it."""
    node = source.find(path or "")
    return _branch(source, node, path or ".", depth, only_data=only_data)


def measure(source: Repository, path: str | None = None, *, summarize: bool) -> list[Size]:
    """Measure what is in a folder, and last the whole; files that only steer are left out.

    Raises
    ------
    Error
        If the list of files of a tracked folder is needed and cannot be had.
    """
    node = source.find(path or "")
    if summarize or not node.is_dir:
        return [Size(path=path or "", size=_size(source, node))]
    rows = [
        Size(path=child.path, size=_size(source, child))
        for child in source.children(node)
        if not child.is_metafile
    ]
    return [*rows, Size(path=path or "", size=sum(row.size for row in rows))]


def list_address(
    url: str,
    *,
    cwd: Path,
    recursive: bool = False,
    depth: int | None = None,
    options: dict[str, str] | None = None,
) -> list[Listed]:
    """List what lies at a path or URL, sorted; a single file under its own name."""
    project = around(cwd)
    config = project.config if project is not None else None
    address = open_address(url, cwd=cwd, config=config, options=options)
    limit = depth if recursive else 1
    places = address.places(deep=limit is None or limit > 1)
    if places is None or depth == 0:
        shown = str(address.path) if address.path is not None else address.shown
        return [_plain(shown, is_dir=places is not None, size=None)]
    found: dict[str, Listed] = {}
    for place in places:
        parts = place.relpath.split("/")
        if limit is not None and len(parts) > limit:
            cut = "/".join(parts[:limit])
            found[cut] = _plain(cut, is_dir=True, size=None)
        elif not (place.is_dir and recursive and depth is None):
            found[place.relpath] = _plain(place.relpath, is_dir=place.is_dir, size=place.size)
    return [found[name] for name in sorted(found)]


def grow(rows: list[Listed], name: str) -> Branch:
    """Return a listing of all files as a tree."""
    root: dict[str, object] = {}
    leaves: dict[str, Listed] = {}
    for row in rows:
        current = root
        for part in row.path.split("/"):
            current = current.setdefault(part, {})  # type: ignore[assignment]
        leaves[row.path] = row
    return _grown(root, leaves, "", name)


def _grown(inside: object, leaves: dict[str, Listed], path: str, name: str) -> Branch:
    names = sorted(inside) if isinstance(inside, dict) else []
    below = f"{path}/" if path else ""
    branches = [_grown(inside[n], leaves, f"{below}{n}", n) for n in names]  # type: ignore[index]
    row = leaves.get(path, _plain(name, is_dir=True, size=None))
    return Branch(listed=msgspec.structs.replace(row, path=name), inside=branches)


def _plain(path: str, *, is_dir: bool, size: int | None) -> Listed:
    return Listed(isout=False, isdir=is_dir, isexec=False, size=size, md5=None, path=path)


def _listed(node: Node, path: str) -> Listed:
    return Listed(
        isout=node.is_out,
        isdir=node.is_dir,
        isexec=node.is_executable,
        size=node.size,
        md5=plain(node.oid) if node.oid else None,
        path=path,
    )


def _walk(
    source: Repository, node: Node, *, limit: int | None, level: int = 1
) -> Iterator[tuple[Node, int]]:
    for child in source.children(node):
        yield child, level
        if child.is_dir and (limit is None or level < limit):
            yield from _walk(source, child, limit=limit, level=level + 1)


def _holds_data(source: Repository, node: Node) -> bool:
    """Say whether a folder has data in it; it is not opened further than needed."""
    if not node.is_dir:
        return False
    return any(c.is_out or _holds_data(source, c) for c in source.children(node))


def _branch(
    source: Repository, node: Node, name: str, depth: int | None, *, only_data: bool
) -> Branch:
    inside = []
    if node.is_dir and (depth is None or depth > 0):
        deeper = None if depth is None else depth - 1
        inside = [
            _branch(source, child, child.name, deeper, only_data=only_data)
            for child in source.children(node)
            if not only_data or child.is_out or _holds_data(source, child)
        ]
    return Branch(listed=_listed(node, name), inside=inside)


def _size(source: Repository, node: Node) -> int:
    if node.oid is not None and node.size is not None:
        return node.size
    if not node.is_dir:
        return node.size or 0
    return sum(_size(source, c) for c in source.children(node) if not c.is_metafile)


def natural(size: int) -> str:
    """Return a size as DVC writes it: in powers of 1024, three digits.

    Examples
    --------
    >>> natural(139), natural(4096), natural(10_485_760), natural(150_000)
    ('139', '4.00k', '10.0M', '146k')
    """
    value = float(size)
    if value < 1024:
        return str(size)
    for unit in ("", "k", "M", "G", "T", "P", "E", "Z"):
        if abs(value) < 999.5:
            if abs(value) < 99.95:
                digits = 2 if abs(value) < 9.995 else 1
                return f"{value:.{digits}f}{unit}"
            return f"{value:.0f}{unit}"
        value /= 1024
    return f"{value:.1f}Y"
