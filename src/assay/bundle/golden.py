"""Golden examples: rows of the training with the model's answers, which it must give again.

They are the 20 different rows with the smallest sha256 of their canonical JSON, so that the
order of the training rows does not matter.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from assay.base.errors import Error
from assay.base.progress import progress

if TYPE_CHECKING:
    from assay.bundle.signature import Values

N_ROWS = 20
RTOL = 1e-9
ATOL = 1e-14
"""Of the largest answer: what is left where large numbers cancel."""

Predict = Callable[[Mapping[str, Any]], Mapping[str, "Values"]]


class Golden(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Rows, and what the model answered, both by column."""

    inputs: dict[str, list[Any]]
    outputs: dict[str, list[Any]]

    @property
    def n_rows(self) -> int:
        """The number of rows."""
        return len(next(iter(self.outputs.values()), ()))


class Proof(msgspec.Struct, frozen=True, kw_only=True):
    """That a model answers the golden examples as it did.

    Attributes
    ----------
    bit_equal : bool
        Whether every number has the same bits.
    largest : float
        The largest difference, as a part of the number.
    """

    n_rows: int
    bit_equal: bool
    largest: float


class Mismatch(Error):
    """A model does not answer the golden examples as it did."""


def choose(columns: Mapping[str, Values]) -> list[int]:
    """Return the places of the rows with the smallest hashes, smallest first."""
    names = sorted(columns)
    best: dict[bytes, int] = {}
    worst = b"\xff" * 33
    lists = [columns[name].tolist() for name in names]
    n_rows = len(lists[0]) if lists else 0
    with progress("golden examples", total=n_rows, unit="rows") as bar:
        for at, row in enumerate(zip(*lists, strict=True)):
            content = msgspec.json.encode(dict(zip(names, row, strict=True)))
            digest = hashlib.sha256(content).digest()
            if digest < worst and digest not in best:
                best[digest] = at
                if len(best) > N_ROWS:
                    del best[max(best)]
                    worst = max(best)
            bar.advance()
    return [best[digest] for digest in sorted(best)]


def make(chosen: Mapping[str, Values], predict: Predict) -> Golden:
    """Return the golden examples of chosen rows, answered by `predict`."""
    inputs = {name: values.tolist() for name, values in chosen.items()}
    outputs = {name: values.tolist() for name, values in predict(chosen).items()}
    return Golden(inputs=inputs, outputs=outputs)


def dump(golden: Golden) -> bytes:
    """Return canonical JSON; NaN is null."""
    return msgspec.json.encode(golden, order="sorted") + b"\n"


def load(content: bytes, *, where: str) -> Golden:
    """Read what `dump` wrote."""
    try:
        return msgspec.json.decode(content, type=Golden)
    except msgspec.MsgspecError as error:
        raise Error(f"the golden examples cannot be read: {error}", where=where) from error


def prove(golden: Golden, predict: Predict, *, where: str) -> Proof:
    """Let `predict` answer the golden examples, and compare.

    Raises
    ------
    Mismatch
        If an answer differs, with its row and both answers.
    """
    answers = predict(golden.inputs)
    if sorted(answers) != sorted(golden.outputs):
        raise Mismatch(
            f"the model gives {', '.join(sorted(answers))}; the golden examples have "
            f"{', '.join(sorted(golden.outputs))}",
            where=where,
        )
    proofs = [
        _compare(name, golden.outputs[name], answers[name], where=where)
        for name in sorted(answers)
    ]
    return Proof(
        n_rows=golden.n_rows,
        bit_equal=all(proof.bit_equal for proof in proofs),
        largest=max(proof.largest for proof in proofs),
    )


def _compare(name: str, recorded: list[Any], answers: Values, *, where: str) -> Proof:
    import numpy as np

    if answers.dtype.kind != "f":
        found = answers.tolist()
        same = [type(a) is type(b) and a == b for a, b in zip(found, recorded, strict=False)]
        if len(found) != len(recorded) or not all(same):
            at = same.index(False) if False in same else len(same)
            raise _mismatch(name, at, recorded, found, where=where)
        return Proof(n_rows=len(recorded), bit_equal=True, largest=0.0)
    expected = _floats(recorded)
    if expected is None or expected.shape != answers.shape:
        raise _mismatch(name, 0, recorded, answers.tolist(), where=where)
    found_floats = answers.astype(np.float64)
    scale = float(np.nanmax(np.abs(expected), initial=0.0))
    close = np.isclose(
        found_floats, expected, rtol=RTOL, atol=ATOL * scale, equal_nan=True
    )  # fmt: skip
    if not close.all():
        at = int(np.argwhere(~close)[0][0])
        raise _mismatch(name, at, recorded, answers.tolist(), where=where)
    gap = np.abs(found_floats - expected)
    part = gap / np.where(expected == 0, 1.0, np.abs(expected))
    bits = np.isnan(expected) | (found_floats.view(np.int64) == expected.view(np.int64))
    return Proof(
        n_rows=len(recorded), bit_equal=bool(bits.all()),
        largest=float(np.nanmax(part, initial=0.0)),
    )  # fmt: skip


def _floats(recorded: list[Any]) -> Values | None:
    import numpy as np

    try:
        return np.array(recorded, np.float64)  # null becomes NaN
    except (TypeError, ValueError):
        return None


def _mismatch(
    name: str, at: int, recorded: list[Any], found: list[Any], *, where: str
) -> Mismatch:
    then = recorded[at] if at < len(recorded) else "nothing"
    now = found[at] if at < len(found) else "nothing"
    return Mismatch(
        f"golden example {at + 1} of {len(recorded)}: '{name}' is {now}, recorded is {then}",
        where=where,
        hint="the environment answers otherwise than the one of the training; see "
        "'assay bundle verify'",
    )
