"""The rows on which models are judged: key, time, target, and what each model answers.

Classes are kept as positions in the fixed tuple `classes`, which comes from the model's signature
and never from the data: a slice that lacks a class still knows that it exists.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.project.declaration import Task

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]
    Mask = NDArray[np.bool_]

Key = str | tuple[str, ...]

SUM_TOLERANCE = 1e-6  # how far the probabilities of a row may be from 1


class Predictions(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """What one model answers to the rows.

    Attributes
    ----------
    values : array, shape (n_rows,)
        Numbers, or positions in the classes.
    probabilities : array, shape (n_rows, n_classes), or None
        In the order of the classes.
    """

    values: NDArray[Any]
    probabilities: Floats | None = None


class View(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Some of the rows with the answers of one model: what a metric is given."""

    task: Task
    classes: tuple[str | int, ...]
    target: NDArray[Any]
    prediction: NDArray[Any]
    probabilities: Floats | None
    time: Ints | None

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.target)


class Rows(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """Aligned evaluation rows; `make` checks what goes in, `with_model` adds a model's answers.

    Attributes
    ----------
    key : tuple of str, or of tuples of str
        What names a row.
    time : array of int, or None
        Event time in Unix microseconds UTC.
    target : array
        Numbers, or positions in `classes`.
    models : mapping
        Answers by the name of the model: 'base', 'candidate', a baseline.
    """

    task: Task
    classes: tuple[str | int, ...]
    key: tuple[Key, ...]
    time: Ints | None
    target: NDArray[Any]
    models: Mapping[str, Predictions] = {}

    @property
    def n_rows(self) -> int:
        """How many rows there are."""
        return len(self.key)

    def view(self, model: str, mask: Mask | None = None) -> View:
        """Return what one model answers to all rows, or to those of a mask."""
        found = self.models[model]
        chosen = slice(None) if mask is None else mask
        return View(
            task=self.task,
            classes=self.classes,
            target=self.target[chosen],
            prediction=found.values[chosen],
            probabilities=None if found.probabilities is None else found.probabilities[chosen],
            time=None if self.time is None else self.time[chosen],
        )

    def with_model(
        self, name: str, values: Sequence[Any] | NDArray[Any], *, probabilities: Any = None
    ) -> Rows:
        """Return the rows with the answers of one more model.

        Parameters
        ----------
        values : sequence, length n_rows
            Numbers, or classes as they are written in `classes`.
        probabilities : array, shape (n_rows, n_classes), optional
            Of two classes, the probabilities of the second are enough.

        Raises
        ------
        assay.Error
            If a prediction is NaN or infinite, or no class of the model; if probabilities are
            below 0, above 1 or do not sum to 1. It names the first such row and their number.
        """
        if len(values) != self.n_rows:
            raise Error(
                f"the model '{name}' has {len(values)} predictions for {self.n_rows} rows",
                hint="predict every row of the evaluation table, in its order",
            )
        column = f"prediction of '{name}'"
        return self.with_answers(
            name, _numbers(self, values, column), self._probabilities(probabilities, name)
        )

    def with_answers(
        self, name: str, values: NDArray[Any], probabilities: Floats | None = None
    ) -> Rows:
        """Do what `with_model` does for answers that are checked already, classes as positions."""
        answers = Predictions(values=values, probabilities=probabilities)
        return msgspec.structs.replace(self, models={**self.models, name: answers})

    def take(self, at: Ints) -> Rows:
        """Return the rows at some positions, in that order."""
        models = {
            name: Predictions(
                values=found.values[at],
                probabilities=None if found.probabilities is None else found.probabilities[at],
            )
            for name, found in self.models.items()
        }
        return msgspec.structs.replace(
            self,
            key=tuple(self.key[i] for i in at.tolist()),
            time=None if self.time is None else self.time[at],
            target=self.target[at],
            models=models,
        )

    def _probabilities(self, given: Any, name: str) -> Floats | None:
        if given is None:
            return None
        import numpy as np

        what = f"probability of '{name}'"
        values = np.asarray(given, dtype=np.float64)
        if values.ndim == 1 and len(self.classes) == 2:
            values = np.column_stack([1 - values, values])
        if values.shape != (self.n_rows, len(self.classes)):
            raise Error(
                f"the probabilities of '{name}' have the shape {values.shape}, expected "
                f"{(self.n_rows, len(self.classes))}",
                hint="give a column for each class, in the order of model.classes",
            )
        _refuse(~np.isfinite(values).all(axis=1), self.key, what, "NaN or infinite")
        _refuse(((values < 0) | (values > 1)).any(axis=1), self.key, what, "below 0 or above 1")
        off = np.abs(values.sum(axis=1) - 1) > SUM_TOLERANCE
        _refuse(off, self.key, what, "not of sum 1 over the classes")
        return values


class Pairing(msgspec.Struct, frozen=True, kw_only=True, eq=False):
    """The rows that base and candidate have in common, and how many each has alone.

    Attributes
    ----------
    candidate_at : array of int
        Where the common rows stand in the candidate's, to take slices along.
    """

    rows: Rows
    candidate_at: Ints
    n_base_only: int
    n_candidate_only: int

    @property
    def note(self) -> str:
        """What is not compared, in words; empty where all rows are."""
        parts = [
            f"{n:,} rows only the {side} has"
            for n, side in ((self.n_base_only, "base"), (self.n_candidate_only, "candidate"))
            if n
        ]
        return f"not compared: {', '.join(parts)}" if parts else ""


def make(
    target: Sequence[Any] | NDArray[Any],
    *,
    task: Task,
    key: Sequence[Any] | None = None,
    time: Any = None,
    classes: Sequence[str | int] = (),
) -> Rows:
    """Check targets and keys, and return rows without a model.

    Parameters
    ----------
    target : sequence, length n_rows
        Numbers, or classes as they are written in `classes`.
    key : sequence, optional
        What names a row; its position where it is not given. A row's key may be a tuple.
    time : array of datetime64, optional
        Event time, UTC.
    classes : sequence
        All classes of the model; of two, the second counts as positive.

    Raises
    ------
    assay.Error
        If a key occurs twice, or a target is missing, NaN, infinite or no class.

    Examples
    --------
    >>> make(["no", "yes"], task="binary", classes=["no", "yes"]).target.tolist()
    [0, 1]
    """
    import numpy as np

    _check_classes(task, classes)
    names = tuple(map(_name, key)) if key is not None else tuple(map(str, range(len(target))))
    if len(names) != len(target):
        raise Error(f"there are {len(names)} keys for {len(target)} targets")
    if len(set(names)) < len(names):
        raise _twice(names)
    empty = Rows(task=task, classes=tuple(classes), key=names, time=None, target=np.empty(0))
    moments = None if time is None else np.asarray(time, dtype="datetime64[us]")
    if moments is not None:
        if len(moments) != len(names):
            raise Error(f"there are {len(moments)} times for {len(names)} rows")
        _refuse(np.isnat(moments), names, "time", "missing")
    return msgspec.structs.replace(
        empty,
        time=None if moments is None else moments.astype(np.int64),
        target=_numbers(empty, target, "target"),
    )


def pair(base: Rows, candidate: Rows) -> Pairing:
    """Join the rows of two sides by their keys, in the candidate's order.

    Raises
    ------
    assay.Error
        If no key is on both sides, a model is on both, or a common row's targets differ.
    """
    import numpy as np

    if (base.task, base.classes) != (candidate.task, candidate.classes):
        raise Error("base and candidate do not answer the same question: task or classes differ")
    if base.key == candidate.key:
        there = at = np.arange(candidate.n_rows)
    else:
        place = {key: i for i, key in enumerate(base.key)}
        common = [(place[key], i) for i, key in enumerate(candidate.key) if key in place]
        there, at = np.array(common, dtype=np.int64).reshape(-1, 2).T
    if not len(at):
        raise Error(
            "base and candidate have no common row",
            hint="evaluate both on the same table, with the key columns it declares",
        )
    left, right = base.take(there), candidate.take(at)
    differ = left.target != right.target
    _refuse(differ, right.key, "target", "another one on the base's side")
    models = {**left.models, **right.models}
    if len(models) < len(left.models) + len(right.models):
        raise Error("a model is on both sides", hint="name the two sides 'base' and 'candidate'")
    return Pairing(
        rows=msgspec.structs.replace(right, models=models),
        candidate_at=at,
        n_base_only=base.n_rows - len(at),
        n_candidate_only=candidate.n_rows - len(at),
    )


def encode(values: Any, classes: Sequence[str | int], *, key: Sequence[Key], column: str) -> Ints:
    """Return the positions of values in the classes.

    Raises
    ------
    assay.Error
        If a value is none of the classes; it names the first such row and their number.
    """
    import numpy as np

    array = np.asarray(values)
    if array.dtype.kind == "f" and array.size and not np.isfinite(array).all():
        _refuse(~np.isfinite(array), key, column, "NaN or infinite")
    codes = np.full(len(array), -1, dtype=np.int64)
    for position, name in enumerate(classes):
        codes[array == name] = position
    if len(codes) and codes.min() < 0:
        plain = {_plain(name): position for position, name in enumerate(classes)}
        for i in np.flatnonzero(codes < 0):
            codes[i] = plain.get(_plain(array[i]), -1)
        shown = ", ".join(map(repr, classes[:5])) + (", ..." if len(classes) > 5 else "")
        _refuse(codes < 0, key, column, f"none of the classes {shown}")
    return codes


def _numbers(rows: Rows, values: Any, column: str) -> NDArray[Any]:
    if rows.task == "regression":
        return _finite(values, rows.key, column)
    return encode(values, rows.classes, key=rows.key, column=column)


def _plain(value: Any) -> str:
    """Return a class as text: a table may give 1.0 or True for what the declaration calls 1."""
    try:
        whole = hasattr(value, "__float__") and value == int(value)
    except (ValueError, OverflowError):
        whole = False
    return str(int(value)) if whole else str(value)


def _check_classes(task: Task, classes: Sequence[str | int]) -> None:
    wanted = {"binary": "two classes", "multiclass": "at least two classes"}.get(task)
    enough = len(classes) == 2 if task == "binary" else len(classes) >= 2
    if wanted is not None and (not enough or len(set(classes)) < len(classes)):
        raise Error(
            f"a {task} task needs {wanted}, there are {list(classes)!r}",
            where="assay.yaml: model.classes",
            hint="list every class of the model once; of two, the second is the positive one",
        )


def _name(key: Any) -> Key:
    return tuple(map(str, key)) if isinstance(key, tuple | list) else str(key)


def _shown(key: Key) -> str:
    return key if isinstance(key, str) else " ".join(key)


def _twice(names: Sequence[Key]) -> Error:
    seen = set[Key]()
    first = next(name for name in names if name in seen or seen.add(name))  # type: ignore[func-returns-value]
    return Error(
        f"the key '{_shown(first)}' names more than one row",
        hint="declare key columns that name a row, or remove the duplicates",
    )


def _finite(values: Any, key: Sequence[Key], column: str) -> Floats:
    import numpy as np

    try:
        array = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise Error(f"the {column} is not a column of numbers: {error}") from error
    _refuse(~np.isfinite(array), key, column, "NaN or infinite")
    return array


def _refuse(bad: Any, key: Sequence[Key], column: str, what: str) -> None:
    if not bad.any():
        return
    first, count = int(bad.argmax()), int(bad.sum())
    raise Error(
        f"the {column} is {what} in {count:,} of {len(bad):,} rows, first in row {first + 1} "
        f"(key '{_shown(key[first])}')",
        hint="evaluate on rows that have a target, and look at what the model does with these",
    )
