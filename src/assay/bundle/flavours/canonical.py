"""skops files whose bytes depend on nothing but the model, and a strict reader of them.

skops names members and nodes by memory addresses and stamps members with the time of day. Here
members are numbered in the order in which they appear, equal ones are one, nodes have no number,
and the time is left at the ZIP epoch. What only says how many threads may work, and what was left
in memory by chance, is set to one value.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator
from typing import Any
from zipfile import ZIP_STORED, BadZipFile, ZipFile, ZipInfo

from assay.base.errors import Error

SCHEMA = "schema.json"

Node = dict[str, Any]

_SETTLED = {"n_jobs": "null", "n_threads": "1", "memory": "null"}
"""What an attribute is set to that no answer depends on; `memory` is a folder on this machine."""


def write(model: Any) -> bytes:
    """Return the skops file of a model, in canonical form."""
    import skops.io

    with ZipFile(io.BytesIO(skops.io.dumps(model))) as source:
        members = {name: source.read(name) for name in source.namelist()}
    schema = json.loads(members[SCHEMA])
    for node in nodes(schema):
        node.pop("__id__", None)
        _settle(node, members)
    names: dict[bytes, str] = {}
    for node in nodes(schema):
        if "file" in node:
            content = members[node["file"]]
            suffix = node["file"].rpartition(".")[2]
            node["file"] = names.setdefault(content, f"{len(names) + 1:06}.{suffix}")
    target = io.BytesIO()
    with ZipFile(target, "w") as archive:
        for content, name in names.items():
            archive.writestr(ZipInfo(name), content)
        archive.writestr(ZipInfo(SCHEMA), json.dumps(schema, separators=(",", ":")))
    return target.getvalue()


def read(content: bytes, *, where: str) -> tuple[Node, dict[str, bytes]]:
    """Return the schema and the members of a file in canonical form; nothing is constructed.

    Raises
    ------
    assay.Error
        If it is not of this form: a member twice, unnamed, compressed or not there.
    """
    try:
        with ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            odd = [i.filename for i in infos if i.compress_type != ZIP_STORED or i.flag_bits & 1]
            if odd or len({*names}) < len(names) or SCHEMA not in names:
                raise damaged(
                    f"its members are not as written: {', '.join(odd or names[:3])}", where
                )
            members = {name: archive.read(name) for name in names}
        schema = json.loads(members.pop(SCHEMA))
        found = list(nodes(schema))
    except (BadZipFile, ValueError, OSError, RecursionError, NotImplementedError) as error:
        raise damaged(str(error), where) from error
    if not isinstance(schema, dict) or any("__id__" in node for node in found):
        raise damaged("its nodes are not in the form in which they are written", where)
    files = {node["file"] for node in found if "file" in node and isinstance(node["file"], str)}
    if files != {*members}:
        raise damaged("it has members that nothing names, or names some that are not there", where)
    return schema, members


def nodes(value: Any) -> Iterator[Node]:
    """Yield each node of a schema, parents first, in the order of the document."""
    if isinstance(value, dict):
        if "__loader__" in value:
            yield value
        for child in value.values():
            yield from nodes(child)
    elif isinstance(value, list):
        for child in value:
            yield from nodes(child)


def array(node: Node, members: dict[str, bytes]) -> Any:
    """Return the array that a node names; never an object of Python's."""
    import numpy as np

    return np.load(io.BytesIO(members[node["file"]]), allow_pickle=False)


def damaged(what: str, where: str) -> Error:
    """Return the error of a file that no bundle was made with."""
    return Error(
        f"the model's file cannot be trusted: {what}",
        where=where,
        hint="nothing of it was run; take the bundle from where it was made",
    )


def _settle(node: Node, members: dict[str, bytes]) -> None:
    """Set what differs by chance to one value."""
    loader = node["__loader__"]
    if loader == "ObjectNode":
        _settle_attributes(node.get("content"))
    elif loader == "SetNode":
        for child in nodes(node["content"]):
            child.pop("__id__", None)
        node["content"].sort(key=lambda child: json.dumps(child, sort_keys=True))
    elif loader == "NdArrayNode" and node.get("type") == "numpy":
        members[node["file"]] = _without_gaps(members[node["file"]])


def _settle_attributes(attributes: Any) -> None:
    if not isinstance(attributes, dict) or attributes.get("__loader__") != "DictNode":
        return
    content, types = attributes["content"], attributes["key_types"]["content"]
    content.pop("_stop_words_id", None)  # a memory address
    attributes["content"] = {name: content[name] for name in sorted(content)}
    del types[len(content) :]  # all are of text
    for name, settled in _SETTLED.items():
        if content.get(name, {}).get("__loader__") == "JsonNode":
            content[name]["content"] = settled


def _without_gaps(content: bytes) -> bytes:
    """Return an array of structures with zeros where nothing was ever written.

    Between the fields lies what was in memory before, and a leaf of a tree has no side for
    missing values.
    """
    import numpy as np

    found = np.load(io.BytesIO(content), allow_pickle=False)
    if found.dtype.names is None:
        return content
    clean = np.zeros(found.shape, found.dtype)
    for name in found.dtype.names:
        clean[name] = found[name]
    if {"left_child", "missing_go_to_left"} <= {*found.dtype.names}:
        clean["missing_go_to_left"][clean["left_child"] == -1] = 0
    target = io.BytesIO()
    np.save(target, clean, allow_pickle=False)
    return target.getvalue()
