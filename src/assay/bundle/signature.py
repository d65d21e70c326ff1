"""What a model takes and gives: columns in order with their types, the kind of its answer.

The types are NumPy's names; `Column.datatype` is the Open Inference Protocol's word for it.
`Signature.enforce` is strict: a value that is not of the column's type is an error, never
converted to one that is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, cast

import msgspec

from assay.base.errors import did_you_mean
from assay.bundle import columns as tables
from assay.bundle.columns import InvalidRows

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Values = NDArray[Any]

ColumnType = Literal[
    "bool", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "float32", "float64", "string",
]  # fmt: skip
Missing = Literal["no", "nan", "none"]

DATATYPES: dict[ColumnType, str] = {
    "bool": "BOOL", "int8": "INT8", "int16": "INT16", "int32": "INT32", "int64": "INT64",
    "uint8": "UINT8", "uint16": "UINT16", "uint32": "UINT32", "uint64": "UINT64",
    "float32": "FP32", "float64": "FP64", "string": "BYTES",
}  # fmt: skip
"""The types in the words of the Open Inference Protocol."""


class Column(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A column that a model takes.

    Attributes
    ----------
    missing : str
        "no" where each training row had a value; else what the model is given for a missing one,
        "nan" or "none".
    shape : tuple of int
        -1 stands for the number of rows.
    """

    name: str
    type: ColumnType
    missing: Missing = "no"
    shape: tuple[int, ...] = (-1,)

    @property
    def datatype(self) -> str:
        """Its type in the words of the Open Inference Protocol."""
        return DATATYPES[self.type]


class Output(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model gives.

    Attributes
    ----------
    shape : tuple of int
        (-1,), or (-1, k) for k numbers a row.
    classes : list or None
        The classes in the order of their probabilities; None for a regression.
    probabilities : bool
        Whether there is a probability of each class.
    """

    type: ColumnType
    shape: tuple[int, ...]
    classes: list[bool | int | float | str] | None
    probabilities: bool

    @property
    def datatype(self) -> str:
        """Its type in the words of the Open Inference Protocol."""
        return DATATYPES[self.type]


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a model takes and gives."""

    task: Literal["regression", "classification"]
    columns: tuple[Column, ...]
    output: Output

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the columns, in order."""
        return tuple(column.name for column in self.columns)

    def enforce(self, table: Any) -> dict[str, Values]:
        """Return the columns of a table in the order of the model, each an array of its type.

        Columns are matched by name, so their order in `table` does not matter.

        Raises
        ------
        InvalidRows
            If a column is missing, unknown, or has a value that is not of its type.
        """
        given = tables.of(table)
        if not tables.n_rows(given):
            raise InvalidRows("there is no row", hint="give one row or more")
        missing = [name for name in self.names if name not in given]
        extra = [name for name in given if name not in self.names]
        if missing:
            near = did_you_mean(missing[0], extra)
            raise InvalidRows(
                f"the column '{missing[0]}' is missing",
                where=f"column '{missing[0]}'",
                hint=near or f"expected are: {', '.join(self.names)}",
            )
        if extra:
            raise InvalidRows(
                f"the model has no column '{extra[0]}'",
                where=f"column '{extra[0]}'",
                hint=did_you_mean(extra[0], self.names) or "leave it out",
            )
        return {column.name: _as_type(given[column.name], column) for column in self.columns}


def infer(table: Mapping[str, Any]) -> tuple[tuple[Column, ...], dict[str, Values]]:
    """Return the columns of training rows, and their values as arrays of these types.

    Raises
    ------
    InvalidRows
        If a column is of no type that a bundle knows, or of two.
    """
    found = {name: _typed(name, values) for name, values in table.items()}
    return tuple(column for column, _ in found.values()), {
        name: values for name, (_, values) in found.items()
    }


def type_of(values: Values, *, where: str) -> ColumnType:
    """Return the type of an array."""
    kind, size = values.dtype.kind, values.dtype.itemsize
    if kind == "b":
        return "bool"
    if kind in "iu" and size <= 8:
        return cast("ColumnType", values.dtype.name)
    if kind == "f":
        return "float64" if size > 4 else "float32"
    if kind in "UO":
        return "string"
    raise InvalidRows(
        f"the values are of type {values.dtype}; expected are numbers, booleans or texts",
        where=where,
        hint="make a number of it (of a time: the hour, the day of the week), or leave it out",
    )


def _typed(name: str, given: Any) -> tuple[Column, Values]:
    import numpy as np

    where = f"column '{name}'"
    masked = isinstance(given, np.ma.MaskedArray)
    if masked:
        given = _unmasked(given)
    if not isinstance(given, np.ndarray) or given.dtype.kind == "O":
        values, missing = _of_objects(list(given), where=where)
    else:
        values, missing = given, "no"
    type_ = type_of(values, where=where)
    if type_ == "string":
        values = values.astype(object)
    else:
        values = np.ascontiguousarray(values.astype(type_))
    if type_ in {"float32", "float64"}:
        missing = "nan" if np.isnan(values).any() else "no"
        _refuse_infinities(values, where=where)
    return Column(name=name, type=type_, missing=missing), values


def _unmasked(given: Any) -> Values:
    """Return a masked array with NaN for missing numbers and None for all else."""
    import numpy as np

    missing = np.ma.getmaskarray(given)
    if not missing.any():
        return np.asarray(given.data)
    values = given.data.astype(given.dtype if given.dtype.kind == "f" else object)
    values[missing] = np.nan if given.dtype.kind == "f" else None
    return np.asarray(values)


def _of_objects(values: list[Any], *, where: str) -> tuple[Values, Missing]:
    """Return an array of Python's values, which must be of one kind."""
    import numpy as np

    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    has_none = any(value is None for value in values)
    has_nan = any(isinstance(value, float) and value != value for value in values)  # noqa: PLR0124
    kinds = {
        type(value)
        for value in values
        if value is not None and not (isinstance(value, float) and value != value)  # noqa: PLR0124
    }
    if kinds <= {str} and kinds:
        if has_none and has_nan:
            raise InvalidRows(
                "a missing text is None in some rows and NaN in others", where=where,
                hint="write it one way",
            )  # fmt: skip
        return np.array([*values, None], object)[:-1], (
            "none" if has_none else "nan" if has_nan else "no"
        )
    if has_none and kinds <= {int, float}:
        values = [float("nan") if value is None else value for value in values]
        has_nan = True
    if kinds == {bool} and not has_nan and not has_none:
        return np.array(values, bool), "no"
    if kinds == {int} and not has_nan:
        try:
            return np.array(values, np.int64), "no"
        except OverflowError:
            raise InvalidRows("an integer has more than 64 bits", where=where) from None
    if kinds <= {int, float}:
        return np.array(values, np.float64), "no"
    names = sorted(kind.__name__ for kind in kinds)
    raise InvalidRows(
        f"the values are of the types {', '.join(names)}{' and missing' if has_none else ''}; "
        "expected are numbers, booleans or texts, of one kind",
        where=where,
    )


def _refuse_infinities(values: Values, *, where: str) -> None:
    import numpy as np

    infinite = np.isinf(values)
    if infinite.any():
        raise InvalidRows(
            f"the value of row {int(infinite.argmax()) + 1} is infinite; expected is a number",
            where=where,
        )


def _as_type(given: Any, column: Column) -> Values:
    """Return values as the array that a column is to be, or say which value is none of its."""
    import numpy as np

    if isinstance(given, np.ma.MaskedArray):
        given = _unmasked(given)
    if isinstance(given, np.ndarray) and given.dtype.kind not in "OS":
        values = _of_array(given, column)
    else:
        values = _of_values(list(given), column)
    if values.dtype.kind == "f":
        _refuse_infinities(values, where=f"column '{column.name}'")
        if column.missing == "no" and np.isnan(values).any():
            raise _wrong(column, int(np.isnan(values).argmax()), "missing (NaN)")
    return values


def _of_array(given: Values, column: Column) -> Values:
    import numpy as np

    takes = {"string": "U", "bool": "b"}.get(
        column.type, "iuf" if column.type.startswith("float") else "iu"
    )
    if given.dtype.kind not in takes:
        raise InvalidRows(
            f"the values are {given.dtype}, expected is {column.type}",
            where=f"column '{column.name}'",
            hint="nothing is converted: send the type that the model was trained on",
        )
    if column.type == "string":
        return given.astype(object)
    if takes == "iu" and len(given):
        info = np.iinfo(column.type)
        outside = (given < info.min) | (given > info.max)
        if outside.any():
            at = int(outside.argmax())
            raise _wrong(column, at, f"{given[at]}, out of range")
    with np.errstate(over="ignore"):  # what becomes infinite is refused
        return given.astype(column.type)


def _of_values(values: list[Any], column: Column) -> Values:
    import numpy as np

    values = [value.item() if isinstance(value, np.generic) else value for value in values]
    allowed: tuple[type, ...] = (int,)
    if column.type in {"string", "bool"}:
        allowed = (str,) if column.type == "string" else (bool,)
    elif column.type.startswith("float"):
        allowed = (int, float)
    missing = {"no": None, "nan": float("nan"), "none": None}[column.missing]
    plain = []
    for at, value in enumerate(values):
        if _is_missing(value) and column.missing != "no":
            plain.append(missing)
            continue
        if type(value) not in allowed:
            raise _wrong(column, at, "missing" if value is None else _shown(value))
        plain.append(value)
    if column.type == "string":
        return np.array([*plain, None], object)[:-1]  # texts stay texts, whatever they look like
    try:
        with np.errstate(over="ignore"):
            return np.array(plain, column.type)
    except OverflowError:
        at = next(at for at, value in enumerate(plain) if not _fits(value, column.type))
        raise _wrong(column, at, f"{_shown(plain[at])}, out of range") from None


def _fits(value: Any, type_: ColumnType) -> bool:
    import numpy as np

    try:
        np.array([value], type_)
    except OverflowError:
        return False
    return True


def _is_missing(value: Any) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # noqa: PLR0124 -- NaN


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _wrong(column: Column, at: int, found: str) -> InvalidRows:
    hint = "the model was trained on rows that all have a value" if "missing" in found else None
    return InvalidRows(
        f"the value of row {at + 1} is {found}; expected is {column.type}",
        where=f"column '{column.name}'",
        hint=hint,
    )
