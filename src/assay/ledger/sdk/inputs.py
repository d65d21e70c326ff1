"""What a script read, as its run keeps it: a name, the hash of the content, columns, where from.

A file or a folder of the project is known by the hash that DVC gives it, so that a run and a
stage that read the same content name the same thing. Data in memory is hashed by its values.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error, NotFound
from assay.ledger.sdk.renderings import as_columns
from assay.ledger.values import scalar
from assay.ledger.writer import Data

if TYPE_CHECKING:
    from assay.project.workspace import Project

PARAMS_FILE = "params.yaml"
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def dataset(
    data: Any,
    *,
    name: str | None = None,
    source: str | None = None,
    schema: Mapping[str, Any] | None = None,
    context: str | None = None,
    project: Project | None = None,
) -> Data:
    """Return a dataset as a run keeps it; the parameters are those of `assay.log_dataset`."""
    if isinstance(data, (str, os.PathLike)):
        if _URL.match(str(data)):
            raise Error(
                "this is a URL, and a file of this machine is expected",
                where=str(data),
                hint="download it, and log the file: assay.log_dataset(PATH, source=URL); "
                "'assay import-url URL' keeps it as data of the project",
            )
        path, oid, size, n_files = _on_disk(Path(data), project)
        name, source, kind = name or path, source or path, "local"
    else:
        if name is None:
            raise Error(
                "data in memory has no name", hint='assay.log_dataset(data, name="customers")'
            )
        oid, size, n_files = f"sha256:{_digest(data, name)}", None, None
        schema, kind = schema or _schema(data), "code"
    details: dict[str, Any] = {"source_type": kind, "source": source or ""}
    if schema:
        details["schema"] = json.dumps(schema, default=str)
    shape = getattr(data, "shape", None)
    if shape is not None:
        details["profile"] = json.dumps({"shape": [int(one) for one in shape]})
    return Data(
        path=name, oid=oid, size=size, n_files=n_files, kind="dataset", details=details,
        context=context,
    )  # fmt: skip


def params_file(project: Project) -> Data | None:
    """Return the parameters file of a project, which is kept; None where there is none."""
    path = project.root / PARAMS_FILE
    if not path.is_file():
        return None
    stored = project.objects.add_file(path)
    return Data(path=PARAMS_FILE, oid=f"sha256:{stored.oid}", size=stored.size, kind="params")


def _on_disk(path: Path, project: Project | None) -> tuple[str, str, int, int | None]:
    """Return a path as the project knows it, with hash, size and number of files."""
    from assay.objects import scan
    from assay.objects.index import Index

    absolute = Path(os.path.abspath(path))  # noqa: PTH100 -- a link keeps its own name
    if not absolute.exists():
        raise NotFound("there is no such file or folder", where=path)
    real = Path(os.path.realpath(absolute.parent)) / absolute.name
    if project is not None and real.is_relative_to(project.root):
        found = scan.scan(real, project.index, skip=project.ignore)
        name = project.relative(real)
    else:
        found, name = scan.scan(absolute, Index(Path(":memory:"))), str(path)
    return name, f"md5:{found.oid}", found.size, found.n_files if absolute.is_dir() else None


def _digest(data: Any, name: str) -> str:
    """Return the hash of values: the same values have the same one."""
    digest = hashlib.sha256()
    if hasattr(data, "dtype") and hasattr(data, "tobytes"):  # an array
        digest.update(f"{data.dtype} {tuple(data.shape)}\n".encode())
        digest.update(data.tobytes())
        return digest.hexdigest()
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(data, pandas.DataFrame):
        kinds = [(str(column), str(kind)) for column, kind in data.dtypes.items()]
        digest.update(json.dumps(kinds).encode())
        digest.update(pandas.util.hash_pandas_object(data).to_numpy().tobytes())
        return digest.hexdigest()
    columns = as_columns(data, where=name)
    for column, values in columns.items():
        digest.update(json.dumps([column, values], default=_cell, ensure_ascii=False).encode())
    return digest.hexdigest()


def _cell(value: Any) -> Any:
    held = scalar(value)
    return str(value) if held is value else held


def _schema(data: Any) -> dict[str, str]:
    kinds: Any = getattr(data, "dtypes", None)
    if hasattr(kinds, "items"):
        return {str(column): str(kind) for column, kind in kinds.items()}
    names, schema = getattr(data, "columns", None), getattr(data, "schema", None)
    if names is not None and isinstance(schema, Mapping):
        return {str(column): str(schema[column]) for column in names}
    return {}
