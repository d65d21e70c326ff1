"""Merge two versions of a `.dvc` file: folders file by file, files where one side changed.

Source: DVC 3.67's merge driver, which takes folders only. Data is not checked out.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

from assay.base.errors import Error, Negative
from assay.base.files import write_atomic
from assay.objects import tree
from assay.objects.cache import DIR, Cache
from assay.objects.legacy import PREFIX, is_legacy, named, plain
from assay.objects.tree import Entry
from assay.project import edit, git, yaml12

_CONTENT = frozenset(["md5", "size", "nfiles", "isexec", "hash"])


class Conflict(Negative):
    """Both sides changed the same; a person has to choose."""


def merge_files(
    cache: Cache,
    *,
    ancestor: Path,
    our: Path,
    their: Path,
    shown: str = "FILE.dvc",
    bring: Callable[[str, str | None], object] | None = None,
) -> None:
    """Write the merge of three versions of a `.dvc` file over `our`.

    Parameters
    ----------
    shown : str
        What messages call the file.
    bring : callable, optional
        Gets a list of files that is not in the cache, by its oid and the name of its remote.

    Raises
    ------
    Conflict
        If it cannot be told which side is right; then `our` stays as it is.
    Error
        If a list of files cannot be had; then, too.
    """
    quoted = shlex.quote(shown)
    text = our.read_text(encoding="utf-8")
    ours, theirs = (_load(*one, quoted) for one in ((our, "ours"), (their, "theirs")))
    base = _load(ancestor, "the common ancestor", quoted) if ancestor.stat().st_size else {}
    if _annotations(ours) != _annotations(theirs):
        raise Conflict(
            "the two sides have different options",
            where=_path_of(ours),
            hint=f"edit the file, then 'git add {quoted}'",
        )

    def read(oid: Any, side: str) -> list[Entry]:
        if bring is not None and not cache.has(oid):
            bring(oid, _row(ours).get("remote"))
        return _read(cache, oid, side)

    merged = _merged(cache, base, ours, theirs, quoted=quoted, read=read)
    row = _row(ours)
    content = {key: value for key, value in merged.items() if key in _CONTENT}
    kept = {key: value for key, value in row.items() if key not in _CONTENT}
    data = ours | {"outs": [_ordered(content, kept)]}
    write_atomic(our, edit.updated(text, data))


def mark(*, ancestor: Path, our: Path, their: Path) -> None:
    """Write git's own merge of three texts over `our`, with markers where both sides changed."""
    names = ("-L", "ours", "-L", "the common ancestor", "-L", "theirs")
    files = (str(path.absolute()) for path in (our, ancestor, their))
    git.git("merge-file", "-q", *names, *files, cwd=our.absolute().parent, accept=range(128))


def _load(path: Path, side: str, quoted: str) -> dict[str, Any]:
    data = yaml12.load(path.read_text(encoding="utf-8"), where=path)
    outs = data.get("outs") if isinstance(data, dict) else None
    if not isinstance(outs, list) or len(outs) != 1 or not isinstance(outs[0], dict):
        raise Conflict(f"{side} is not a record of one output", where=path)
    if data.get("deps"):
        raise Conflict(
            f"{side} is an import",
            where=_path_of(data),
            hint=f"choose one side, 'git checkout --ours {quoted}' or '--theirs', "
            "then 'assay update'",
        )
    return dict(data)


def _row(data: dict[str, Any]) -> dict[str, Any]:
    row: dict[str, Any] = data["outs"][0] if data else {}
    return row


def _path_of(data: dict[str, Any]) -> str:
    return str(_row(data).get("path", ""))


def _annotations(data: dict[str, Any]) -> dict[str, Any]:
    """Return what a record says beside the content: path, options, description."""
    row = {key: value for key, value in _row(data).items() if key not in _CONTENT}
    return data | {"outs": [row]}


def _ordered(content: dict[str, Any], kept: dict[str, Any]) -> dict[str, Any]:
    order = ["md5", "size", "nfiles", "isexec", "hash"]
    return {key: content[key] for key in order if key in content} | kept


def _merged(
    cache: Cache,
    base: dict[str, Any],
    ours: dict[str, Any],
    theirs: dict[str, Any],
    *,
    quoted: str,
    read: Callable[[Any, str], list[Entry]],
) -> dict[str, Any]:
    """Return the row with the merged content."""
    before, mine, other = (_oid(data) for data in (base, ours, theirs))
    if other in (mine, before):
        return _row(ours)
    if mine == before:
        return _row(theirs)
    if not (_is_folder(mine) and _is_folder(other)):
        raise Conflict(
            "both sides changed it, and two files cannot be merged",
            where=_path_of(ours),
            hint=f"choose one: 'git checkout --ours {quoted}' or '--theirs', then 'git add' it",
        )
    if is_legacy(mine) != is_legacy(other):
        raise Conflict(
            "one side was written by DVC 2, the other since",
            where=_path_of(ours),
            hint="run 'assay cache migrate --dvc-files' on the older side, then merge again",
        )
    is_alike = _is_folder(before) and is_legacy(before) == is_legacy(mine)
    start = read(before, "the common ancestor") if is_alike else []
    sides = (start, read(mine, "ours"), read(other, "theirs"))
    return _merged_folder(cache, merge_entries(*sides, quoted=quoted))


def _oid(data: dict[str, Any]) -> Any:
    row = _row(data)
    md5 = row.get("md5")
    return md5 if md5 is None or "hash" in row else f"{PREFIX}{md5}"


def _is_folder(oid: Any) -> bool:
    return isinstance(oid, str) and oid.endswith(DIR)


def _read(cache: Cache, oid: Any, side: str) -> list[Entry]:
    if not cache.has(oid):
        raise Error(
            f"the list of files of {side} is not in the cache",
            where=named(oid),
            hint="run 'git merge --abort', then 'assay fetch --all-commits', and merge again",
        )
    return tree.read(cache, oid)


def _merged_folder(cache: Cache, entries: list[Entry]) -> dict[str, Any]:
    sizes = [_size(cache, entry.oid) for entry in entries]
    oid = tree.add(cache, entries)
    row: dict[str, Any] = {"md5": plain(oid)}
    if None not in sizes:
        row["size"] = sum(size for size in sizes if size is not None)
    return row | {"nfiles": len(entries)} | ({} if is_legacy(oid) else {"hash": "md5"})


def _size(cache: Cache, oid: str) -> int | None:
    try:
        return cache.path(oid).stat().st_size
    except OSError:
        return None


def merge_entries(
    base: list[Entry], ours: list[Entry], theirs: list[Entry], *, quoted: str = "FILE.dvc"
) -> list[Entry]:
    """Return the files of two folders, with what each side changed since `base`.

    Examples
    --------
    >>> a, b, c = Entry("a", "1" * 32), Entry("b", "2" * 32), Entry("c", "3" * 32)
    >>> [entry.relpath for entry in merge_entries([a], [a, b], [a, c])]
    ['a', 'b', 'c']

    Raises
    ------
    Conflict
        If both sides changed one file in different ways, or a file of one is a folder of the
        other; it names them.
    """
    before, mine, other = ({e.relpath: e.oid for e in side} for side in (base, ours, theirs))
    merged: dict[str, str] = {}
    contested: list[str] = []
    for path in sorted({*mine, *other}):
        found = [side.get(path) for side in (before, mine, other)]
        if found[1] == found[2] or found[2] == found[0]:
            chosen = found[1]
        elif found[1] == found[0]:
            chosen = found[2]
        else:
            contested.append(path)
            continue
        if chosen is not None:
            merged[path] = chosen
    contested += [p for p in merged if _any_parent(p, merged.__contains__)]
    if contested:
        names = ", ".join(contested[:5]) + (", ..." if len(contested) > 5 else "")
        raise Conflict(
            f"both sides changed: {names}",
            hint=f"choose one side: 'git checkout --ours {quoted}' or '--theirs'; "
            "or make the folder as it should be, 'assay add' it and 'git add' its record",
        )
    return [Entry(path, oid) for path, oid in sorted(merged.items())]


def _any_parent(path: str, is_there: Callable[[str], bool]) -> bool:
    parent = path.rpartition("/")[0]
    while parent:
        if is_there(parent):
            return True
        parent = parent.rpartition("/")[0]
    return False
