"""What a script logs as a value, as the bytes of a file: figures, tables, mappings.

Libraries are not imported for it: a figure is known by what it can do, and its library is there
because somebody made the figure with it.
"""

from __future__ import annotations

import datetime as dt
import io
import json
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import PurePosixPath
from typing import Any

from assay.base.errors import Error, with_article
from assay.ledger.values import scalar

_PLAIN: dict[type, Callable[[Any], Any]] = {
    str: str.__str__, int: int.__int__, float: float.__float__,
}  # fmt: skip
_DEEPEST = 100  # levels that are looked through for what cannot be written


def figure(found: Any, path: str) -> bytes:
    """Return a figure of Matplotlib, Plotly, Altair or Pillow in the form of the path's ending.

    Raises
    ------
    Error
        If it is no figure, or its library does not write this form.
    """
    ending = PurePosixPath(path).suffix.lower().removeprefix(".")
    if not ending:
        raise Error(f"the path {path!r} has no ending", hint="name the form, such as 'roc.png'")
    for draw in (_of_matplotlib, _of_plotly_or_altair, _of_pillow):
        content = draw(found, ending)
        if content is not None:
            return content
    raise Error(
        f"{with_article(type(found).__name__)} cannot be drawn as {ending!r}",
        where=path,
        hint="give a figure of Matplotlib, Plotly, Altair or Pillow, "
        "or write the file yourself and call assay.log_artifact()",
    )


def _of_matplotlib(found: Any, ending: str) -> bytes | None:
    if not hasattr(found, "savefig"):
        found = getattr(found, "figure", None)  # axes know their figure
    if not hasattr(found, "savefig"):
        return None
    buffer = io.BytesIO()
    found.savefig(buffer, format=ending)
    return buffer.getvalue()


def _of_plotly_or_altair(found: Any, ending: str) -> bytes | None:
    if ending == "html" and hasattr(found, "to_html"):
        return str(found.to_html()).encode()
    if ending == "json" and hasattr(found, "to_json"):
        return str(found.to_json()).encode()
    if hasattr(found, "to_image"):
        return bytes(found.to_image(format=ending))
    return None


def _of_pillow(found: Any, ending: str) -> bytes | None:
    if not (hasattr(found, "save") and hasattr(found, "mode") and hasattr(found, "size")):
        return None
    buffer = io.BytesIO()
    found.save(buffer, format={"jpg": "jpeg", "tif": "tiff"}.get(ending, ending))
    return buffer.getvalue()


def table(data: Any, path: str, *, before: bytes | None = None) -> bytes:
    """Return a table as CSV, as JSON in the form that MLflow reads, or as Parquet.

    A missing value (None, not a number, pandas' NaT and NA) is an empty cell, or null.

    Parameters
    ----------
    data : mapping of columns, sequence of mappings, or data frame
        Parquet is written by the data frame itself.
    before : bytes, optional
        A table of the same form, whose rows come first. A column that only one of the two has is
        missing in the rows of the other, as in MLflow.
    """
    from assay.ledger.sdk import appending

    ending = PurePosixPath(path).suffix.lower()
    if ending == ".parquet":
        return _parquet(data if before is None else appending.frame(before, data, path), path)
    if ending not in {".csv", ".json"}:
        raise Error(
            f"a table is not written as {ending!r}",
            where=path,
            hint="name it .csv, .json or .parquet",
        )
    columns = as_columns(data, where=path)
    if ending == ".csv":
        cells = {
            name: ["" if _is_missing(one) else one for one in column]
            for name, column in columns.items()
        }
        return appending.as_csv(cells, before, path)
    plain = {name: [_plain(one) for one in column] for name, column in columns.items()}
    names, rows = appending.as_rows(plain, before, path)
    return _json({"columns": names, "data": rows}, where=path)


def as_columns(data: Any, *, where: str) -> dict[str, list[Any]]:
    """Return the columns of a table, all of one length.

    Examples
    --------
    >>> as_columns([{"a": 1, "b": 2}, {"a": 3}], where="t.csv")
    {'a': [1, 3], 'b': [2, None]}
    """
    found: dict[str, list[Any]] | None = None
    if isinstance(data, Mapping):
        found = {str(name): _listed(column) for name, column in data.items()}
    elif hasattr(data, "columns") and hasattr(data, "__getitem__"):
        found = {str(name): _listed(data[name]) for name in data.columns}
    elif isinstance(data, Sequence) and all(isinstance(row, Mapping) for row in data):
        names = dict.fromkeys(name for row in data for name in row)
        found = {str(name): [scalar(row.get(name)) for row in data] for name in names}
    if found is None:
        raise Error(
            f"{with_article(type(data).__name__)} is no table",
            where=where,
            hint="give a mapping of columns, a list of mappings, or a data frame",
        )
    lengths = {name: len(column) for name, column in found.items()}
    if len(set(lengths.values())) > 1:
        said = ", ".join(f"{name!r} has {length}" for name, length in lengths.items())
        raise Error(f"the columns have different lengths: {said}", where=where)
    return found


def mapping(found: Any, path: str) -> bytes:
    r"""Return a mapping or list as JSON, or as YAML where the path ends so.

    NumPy's scalars and arrays are written as what they hold, and dates in JSON as ISO text.

    Examples
    --------
    >>> mapping({"day": dt.date(2026, 1, 2)}, "a.yaml")
    b'day: 2026-01-02\n'
    >>> mapping({"day": dt.date(2026, 1, 2)}, "a.json")
    b'{\n "day": "2026-01-02"\n}\n'
    """
    if PurePosixPath(path).suffix.lower() in {".yaml", ".yml"}:
        import yaml

        try:
            return _as_yaml(found)
        except (yaml.YAMLError, UnicodeEncodeError, RecursionError) as error:
            raise _unwritable(found, "YAML", _is_yaml, where=path, cause=error) from error
    return _json(found, where=path)


def _as_yaml(found: Any) -> bytes:
    import yaml

    plain = _held(found, dates_as_text=False)
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True).encode()


def _as_json(found: Any) -> bytes:
    plain = _held(found, dates_as_text=True)
    return json.dumps(plain, ensure_ascii=False, indent=1).encode() + b"\n"


def _held(found: Any, *, dates_as_text: bool) -> Any:
    """Return a value in Python's own types, as far as it is made of what both forms can hold."""
    if found is None or type(found) in {str, int, float, bool}:
        return found
    if isinstance(found, Mapping):
        return {
            # a key that is a tuple stays one: the form says what it takes
            key if isinstance(key, tuple) else _held(key, dates_as_text=dates_as_text): _held(
                one, dates_as_text=dates_as_text
            )
            for key, one in found.items()
        }
    if isinstance(found, (list, tuple)):
        return [_held(one, dates_as_text=dates_as_text) for one in found]
    if hasattr(found, "dtype") and hasattr(found, "tolist"):  # NumPy's, of any shape
        inner = found.tolist()
        return found if inner is found else _held(inner, dates_as_text=dates_as_text)
    for kind, plain in _PLAIN.items():  # a subclass, such as an enumeration's member
        if isinstance(found, kind):
            return plain(found)
    if dates_as_text and isinstance(found, (dt.date, dt.time)):
        return found.isoformat()
    return scalar(found)


def _json(found: Any, *, where: str) -> bytes:
    try:
        return _as_json(found)
    except (TypeError, ValueError, RecursionError) as error:
        raise _unwritable(found, "JSON", _is_json, where=where, cause=error) from error


def _unwritable(
    found: Any, form: str, is_written: Callable[[Any], bool], *, where: str, cause: Exception
) -> Error:
    """Return the error that names the first value which a form has no text for."""
    place, value = "", found
    for _ in range(_DEEPEST):
        inner = _first_bad(value, is_written)
        if inner is None:
            break
        place, value = place + inner[0], inner[1]
    if not place or isinstance(value, (Mapping, list, tuple)):  # a key, or a circle
        is_deep = isinstance(cause, RecursionError)
        said = "Circular reference, or too many levels" if is_deep else cause
        return Error(f"this is no {form}: {said}", where=where)
    return Error(
        f"this is no {form}: {place.removeprefix('.')!r} holds "
        f"{with_article(type(value).__name__)}",
        where=where,
        hint="give its text, str(...), or what it is made of",
    )


def _first_bad(found: Any, is_written: Callable[[Any], bool]) -> tuple[str, Any] | None:
    if isinstance(found, Mapping):
        items: Iterable[tuple[str, Any]] = ((f".{key}", one) for key, one in found.items())
    elif isinstance(found, (list, tuple)):
        items = ((f"[{number}]", one) for number, one in enumerate(found))
    else:
        return None
    return next(((key, one) for key, one in items if not is_written(one)), None)


def _is_json(found: Any) -> bool:
    try:
        _as_json(found)
    except (TypeError, ValueError, RecursionError):
        return False
    return True


def _is_yaml(found: Any) -> bool:
    import yaml

    try:
        _as_yaml(found)
    except (yaml.YAMLError, UnicodeEncodeError, RecursionError):
        return False
    return True


def _plain(value: Any) -> Any:
    """Return a cell as JSON has it; what is missing or no number is nothing."""
    value = scalar(value)
    if _is_missing(value) or (isinstance(value, float) and not math.isfinite(value)):
        return None
    return value if isinstance(value, (str, int, float, bool, type(None))) else str(value)


def _is_missing(value: Any) -> bool:
    """Tell whether a cell of a table is none, as pandas has it."""
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in {"NaTType", "NAType"}


def _listed(column: Any) -> list[Any]:
    for name in ("to_list", "tolist"):
        if hasattr(column, name):
            return list(getattr(column, name)())
    if isinstance(column, Iterable) and not isinstance(column, (str, bytes)):
        return [scalar(one) for one in column]
    return [scalar(column)]


def _parquet(data: Any, path: str) -> bytes:
    buffer = io.BytesIO()
    for name in ("to_parquet", "write_parquet"):
        if hasattr(data, name):
            getattr(data, name)(buffer)
            return buffer.getvalue()
    raise Error(
        f"{with_article(type(data).__name__)} does not write Parquet itself",
        where=path,
        hint="name the file .csv or .json, or give a data frame",
    )
