"""Rows of `.dvc` files and `dvc.lock`: a path with its hash, in the two key orders of DVC.

DVC 2 wrote no `hash`: such a row names an object of its own kind (`assay.objects.legacy`).
"""

from __future__ import annotations

from typing import Any

from assay.objects.legacy import PREFIX, is_legacy, plain
from assay.project import versions
from assay.project.grammar import Source
from assay.project.stages import Row


def parse(source: Source, row: dict[str, Any], at: list[Any]) -> Row:
    """Read a row that was checked for its keys."""
    oid = row.get("md5")
    if isinstance(oid, int) and not isinstance(oid, bool):
        oid = str(oid)
    if oid is not None:
        if not isinstance(oid, str):
            raise source.fail([*at, "md5"], f"'md5' is {oid!r}, not a hash")
        oid = oid.lower() or None
    kind = row.get("hash")
    if kind not in {None, "md5"}:
        raise source.fail([*at, "hash"], f"'hash' is '{kind}', expected 'md5'")
    if oid is not None:
        digits = oid.removesuffix(".dir")
        if len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
            raise source.fail([*at, "md5"], f"'{oid}' is not an MD5 of 32 hexadecimal digits")
        oid = oid if kind else PREFIX + oid
    versioned = versions.of_file(source, row, at, oid) if oid is not None else None
    return versions.read(source, row, at) or Row(
        path=row["path"],
        oid=oid,
        versions=() if versioned is None else (versioned,),
        size=row.get("size"),
        n_files=row.get("nfiles"),
        is_executable=bool(row.get("isexec", False)),
    )


def _content(row: Row) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if row.oid is not None:
        data["md5"] = plain(row.oid)
    if row.size is not None:
        data["size"] = row.size
    if row.n_files is not None:
        data["nfiles"] = row.n_files
    if row.is_executable:
        data["isexec"] = True
    return data


def for_lock(row: Row) -> dict[str, Any]:
    """Return a row as `dvc.lock` has it: path first."""
    return {"path": row.path} | _kind(row) | _content(row)


def for_dvc_file(row: Row) -> dict[str, Any]:
    """Return a row as a `.dvc` file has it: hash first."""
    return versions.to_data(row, _content(row) | _kind(row) | {"path": row.path})


def _kind(row: Row) -> dict[str, Any]:
    return {} if row.oid is not None and is_legacy(row.oid) else {"hash": "md5"}
