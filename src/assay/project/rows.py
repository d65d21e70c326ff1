"""Rows of `.dvc` files and `dvc.lock`: a path with its hash, in the two key orders of DVC."""

from __future__ import annotations

from typing import Any

from assay.project.grammar import Source
from assay.project.stages import Row

LEGACY_HINT = (
    "this entry was written by DVC 2 (it has no 'hash: md5'); "
    "convert the repository once with 'assay cache migrate --dvc-files'"
)


def parse(source: Source, row: dict[str, Any], at: list[Any]) -> Row:
    """Read a row that was checked for its keys."""
    oid = row.get("md5")
    if isinstance(oid, int) and not isinstance(oid, bool):
        oid = str(oid)
    if oid is not None:
        if not isinstance(oid, str):
            raise source.fail([*at, "md5"], f"'md5' is {oid!r}, not a hash")
        oid = oid.lower() or None
    if oid is not None and row.get("hash") != "md5":
        raise source.fail(at, "the entry is in DVC 2's format", hint=LEGACY_HINT)
    if oid is not None:
        digits = oid.removesuffix(".dir")
        if len(digits) != 32 or not set(digits) <= set("0123456789abcdef"):
            raise source.fail([*at, "md5"], f"'{oid}' is not an MD5 of 32 hexadecimal digits")
    return Row(
        path=row["path"],
        oid=oid,
        size=row.get("size"),
        n_files=row.get("nfiles"),
        is_executable=bool(row.get("isexec", False)),
    )


def _content(row: Row) -> dict[str, Any]:
    data: dict[str, Any] = {}
    if row.oid is not None:
        data["md5"] = row.oid
    if row.size is not None:
        data["size"] = row.size
    if row.n_files is not None:
        data["nfiles"] = row.n_files
    if row.is_executable:
        data["isexec"] = True
    return data


def for_lock(row: Row) -> dict[str, Any]:
    """Return a row as `dvc.lock` has it: path first."""
    return {"path": row.path, "hash": "md5"} | _content(row)


def for_dvc_file(row: Row) -> dict[str, Any]:
    """Return a row as a `.dvc` file has it: hash first."""
    return _content(row) | {"hash": "md5", "path": row.path}
