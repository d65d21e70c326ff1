"""A fitted model as a skops file: no pickle in it, and equal models give equal bytes."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zipfile import ZipFile, ZipInfo

import skops.io

# skops asks before it loads this class, since a forged tree can crash the process.
# It is safe for a file that the pipeline next door has just written.
TRUSTED = ["sklearn.ensemble._hist_gradient_boosting.predictor.TreePredictor"]


def read(path: str) -> Any:
    """Return the model of a file that this project wrote."""
    return skops.io.load(path, trusted=TRUSTED)


def write(model: Any, path: str) -> None:
    """Write a model so that its bytes depend on nothing but the model.

    skops names members and nodes by memory addresses and stamps them with the time of day. Here
    both are numbered in the order in which they appear, and the time is left at the ZIP epoch.
    """
    with ZipFile(io.BytesIO(skops.io.dumps(model))) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members["schema.json"])
    ids: dict[int, int] = {}
    files: dict[str, str] = {}
    for node in _nodes(schema):
        if node["__loader__"] == "JsonNode":
            node.pop("__id__", None)  # of a plain value: whether two share one is chance
        if "__id__" in node:
            node["__id__"] = ids.setdefault(node["__id__"], len(ids) + 1)
        if "file" in node:
            number = f"{len(files) + 1:06}{Path(node['file']).suffix}"
            node["file"] = files.setdefault(node["file"], number)
    with ZipFile(path, "w") as target:
        for old, new in files.items():
            target.writestr(ZipInfo(new), members[old])
        target.writestr(ZipInfo("schema.json"), json.dumps(schema))


def _nodes(value: Any) -> Iterator[dict[str, Any]]:
    """Yield each node of skops' schema, parents first, in the order of the document."""
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        for child in value.values():
            yield from _nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from _nodes(child)
