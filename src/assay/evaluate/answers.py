"""What a bundle is given of an open table, and its probabilities in the declared order.

A table knows fewer types than a model: what is read from a CSV file is 64 bits wide. A value goes
to the model in the type of its column if nothing is lost; floats are rounded to the model's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error, did_you_mean
from assay.base.progress import counted

if TYPE_CHECKING:
    from assay.bundle.load import Bundle
    from assay.bundle.signature import Column
    from assay.data.read import Table, TableColumn

_NUMBERS = {"integer", "float", "boolean"}
_TEXTS = {"category", "text"}
_MISSING = {
    True: "train with None where the table is empty; '' is a value of its own",
    False: "train with NaN where the table is empty, or give these rows a value",
}
"""What to do where a text, and where a number, is missing that never was in training."""


def features(table: Table, bundle: Bundle) -> dict[str, Any]:
    """Return the columns of an open table that a bundle takes, each in the bundle's type.

    Raises
    ------
    Error
        If a column is missing or of another kind, or has values that the model's type does not
        have, or misses some where the model was trained with none.
    """
    where = bundle.id[:19]
    known = {column.name: column for column in table.columns}
    for column in bundle.signature.columns:
        _check(column, known, where)
    refs = ", ".join(f"{known[name].ref} AS c{i}" for i, name in enumerate(bundle.signature.names))
    found = table.execute(f"SELECT rowid AS at, {refs} FROM t ORDER BY rowid").fetchnumpy()  # noqa: S608 -- quoted names
    return {
        column.name: _values(found[f"c{i}"], column, where)
        for i, column in enumerate(bundle.signature.columns)
    }


def probabilities(answers: Mapping[str, Any], bundle: Bundle, classes: Sequence[Any]) -> Any:
    """Return the probabilities with a column for each declared class, or None without any.

    A class that the model has never seen has none.

    Raises
    ------
    Error
        If the model knows a class that is not declared.
    """
    import numpy as np

    given = answers.get("predict_proba")
    if given is None:
        return None
    place = {_plain(name): at for at, name in enumerate(classes)}
    made = np.zeros((len(given), len(classes)))
    for at, name in enumerate(bundle.signature.output.classes or ()):
        if _plain(name) not in place:
            raise Error(
                f"the model knows the class {name!r}, which is not declared",
                where="assay.yaml: model.classes",
                hint="add it there",
            )
        made[:, place[_plain(name)]] = given[:, at]
    return made


def _plain(name: Any) -> str:
    """Return a class as text: 1.0 and True are what the declaration calls 1."""
    if isinstance(name, bool | float) and name == int(name):
        name = int(name)
    return str(name)


def _check(column: Column, known: Mapping[str, TableColumn], where: str) -> None:
    if column.name not in known:
        raise Error(
            f"the table has no column '{column.name}', which the model takes",
            where=where,
            hint=did_you_mean(column.name, known) or "evaluate on a table with these features",
        )
    found = known[column.name]
    expected = _TEXTS if column.type == "string" else _NUMBERS
    if found.type not in expected and found.n_present:
        raise Error(
            f"'{column.name}' is {found.type} in the table; the model takes {column.type}",
            where=where,
            hint="write the table with the types that the model was trained on",
        )


def _values(values: Any, column: Column, where: str) -> Any:
    import numpy as np

    missing = np.ma.getmaskarray(values)
    data = np.ma.getdata(values)
    if data.dtype.kind == "f":
        missing = missing | np.isnan(data)
    if missing.any() and column.missing == "no":
        raise Error(
            f"'{column.name}' is missing in {counted(int(missing.sum()), 'row')}, first in data "
            f"row {int(missing.argmax()) + 1}; the model was trained without missing values",
            where=where,
            hint=_MISSING[column.type == "string"],
        )
    if column.type == "string":
        pairs = zip(data.tolist(), missing.tolist(), strict=True)
        return [None if gone else value for value, gone in pairs]
    return _numbers(data, missing, column, where)


def _numbers(data: Any, missing: Any, column: Column, where: str) -> Any:
    import numpy as np

    if missing.all():
        data = np.zeros(len(missing))
    with np.errstate(invalid="ignore"):  # what does not fit is told below
        typed = np.where(missing, 0, data).astype(column.type)
    lost = ~missing & (typed != data) if typed.dtype.kind != "f" else np.zeros_like(missing)
    if lost.any():
        at = int(lost.argmax())
        raise Error(
            f"'{column.name}' is {data[at]} in data row {at + 1}; the model takes {column.type}",
            where=where,
            hint="write the table with the types that the model was trained on",
        )
    if missing.any():
        typed[missing] = np.nan
    return typed
