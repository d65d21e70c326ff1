"""`bundle.json`, the index of a bundle: what is in it, under the hash of every file.

The id of a bundle is the sha256 of these bytes: sorted keys, one line. Nothing in it says when,
where or on which machine the bundle was made.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from assay.base.errors import Error
from assay.bundle.environment import Environment
from assay.bundle.signature import Signature

FORMAT = 1
INDEX = "bundle.json"
GOLDEN = "golden.json"
REFERENCE = "reference.json"
RECORD = "record.json"
"""What an export may put beside a bundle; it is no part of it."""

_LARGEST = 2**63


class File(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a bundle: the hash of its bytes and their number."""

    sha256: str
    size: int


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The model in a bundle.

    Attributes
    ----------
    flavour : str
        What wrote the file and reads it: "sklearn".
    type : str
        The estimator's class, with its module.
    input : str
        What the estimator is given: "array", a matrix of the columns in order, or "dataframe".
    """

    file: str
    flavour: str
    type: str
    input: Literal["array", "dataframe"]


class Index(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `bundle.json` says.

    Attributes
    ----------
    data : dict
        The oid of what the training read, by its path in the project.
    params : dict
        What the training was told, by dotted name.
    """

    bundle: int
    name: str | None
    model: Model
    signature: Signature
    environment: Environment
    data: dict[str, str]
    params: dict[str, Any]
    files: dict[str, File]


def file_of(content: bytes) -> File:
    """Return what the index says of a file with these bytes."""
    return File(sha256=hashlib.sha256(content).hexdigest(), size=len(content))


def id_of(content: bytes) -> str:
    """Return the id of the bundle whose `bundle.json` has these bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def dump(index: Index) -> bytes:
    """Return the bytes of `bundle.json`."""
    return msgspec.json.encode(index, order="sorted") + b"\n"


def load(content: bytes, *, where: str) -> Index:
    """Read the bytes of a `bundle.json`.

    Raises
    ------
    assay.Error
        If they are none, are of another version, or are not the bytes that `dump` would write.
    """
    try:
        version = msgspec.json.decode(content, type=_Version).bundle
        if version != FORMAT:
            raise Error(
                f"the bundle is of format {version}, expected {FORMAT}",
                where=where,
                hint="use the version of assay that wrote it, or make the bundle again",
            )
        index = msgspec.json.decode(content, type=Index)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Error(f"this is not the index of a bundle: {error}", where=where) from error
    if dump(index) != content:
        raise Error(
            "the index of the bundle is not in the form in which it was written",
            where=where,
            hint="it was edited or formatted; take the bundle from where it was made",
        )
    return index


def plain(value: Any) -> Any:
    """Return a parameter's value as JSON keeps it: what JSON has no number for becomes text.

    Examples
    --------
    >>> plain({"a": float("inf"), "b": (1, 2.5), "c": 2**70})
    {'a': 'inf', 'b': [1, 2.5], 'c': '1180591620717411303424'}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, int):
        return int(value) if -_LARGEST <= value < _LARGEST else str(value)
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if hasattr(value, "item"):  # a scalar of NumPy
        return plain(value.item())
    return str(value)


class _Version(msgspec.Struct):
    bundle: int
