"""Write one batch to where it belongs: with how its runs began, or in smaller parts of it.

Nothing that a place does not take keeps what comes after it from being written: an operation that
is refused alone is left out, and who sent it is told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import msgspec

from assay.base.errors import NotFound
from assay.ledger.operations import (
    AddArtifacts,
    AddInputs,
    Batch,
    LogMetrics,
    LogParams,
    Operation,
    Refusal,
    SetTags,
    StartRun,
)
from assay.ledger.sinks import TooLarge, Unavailable, Unfit

Send = Callable[[Batch], list[Refusal]]

_PARTED: dict[type, str] = {
    AddArtifacts: "artifacts",
    AddInputs: "data",
    LogMetrics: "points",
    LogParams: "params",
    SetTags: "tags",
}


def deliver(batch: Batch, send: Send, started: Mapping[str, StartRun]) -> list[Refusal]:
    """Write a batch; return which of its operations are refused for good.

    Parameters
    ----------
    send : callable
        What writes it.
    started : mapping of str to StartRun
        How runs began, for a place that does not know them.

    Raises
    ------
    Unavailable
        If it can be written later; where a run is not known to the place nor in `started`, the
        cause is a `NotFound`.
    Error
        If somebody has to do something first.
    """
    try:
        try:
            return send(batch)
        except NotFound as unknown:
            return _begun_again(batch, send, started, unknown)
    except Unfit as error:
        return _in_parts(batch, send, started, error)


def _begun_again(
    batch: Batch, send: Send, started: Mapping[str, StartRun], unknown: NotFound
) -> list[Refusal]:
    runs = _with_those_above({one.run for one in batch.operations}, started)
    try:
        for run in runs:
            again = Batch(sender=f"{batch.sender}/{run}", number=1, operations=(started[run],))
            for refused in send(again):
                raise Unfit(refused.what, where=refused.where, hint=refused.hint) from unknown
        if runs:
            return send(batch)
    except NotFound as error:  # also of what a run is a part of: another process begins that
        unknown = error
    raise Unavailable(unknown.what, where=unknown.where, hint=unknown.hint) from unknown


def _with_those_above(runs: Iterable[str], started: Mapping[str, StartRun]) -> list[str]:
    """Return runs that began here, each after the one that it is a part of."""
    found: dict[str, None] = {}
    for run in sorted(runs):
        line: list[str] = []
        above: str | None = run
        while above is not None and above in started and above not in line:
            line.append(above)
            above = started[above].parent
        found |= dict.fromkeys(reversed(line))
    return list(found)


def _in_parts(
    batch: Batch, send: Send, started: Mapping[str, StartRun], problem: Unfit
) -> list[Refusal]:
    parts = _halves(batch.operations, is_too_large=isinstance(problem, TooLarge))
    if not parts:
        run = batch.operations[0].run
        return [
            Refusal(index=0, run=run, what=problem.what, where=problem.where, hint=problem.hint)
        ]
    refused: dict[int, Refusal] = {}
    for number, (first, operations) in enumerate(parts):
        sender = f"{batch.sender}/{batch.number}.{number}"  # the same when it is tried again
        part = Batch(sender=sender, number=1, operations=operations)
        for one in deliver(part, send, started):
            index = first + one.index
            refused.setdefault(index, msgspec.structs.replace(one, index=index))
    return list(refused.values())


def _halves(
    operations: Sequence[Operation], *, is_too_large: bool
) -> list[tuple[int, tuple[Operation, ...]]]:
    """Return two halves, each with the place of its first operation; none of what is one thing."""
    if len(operations) > 1:
        middle = len(operations) // 2
        return [(0, tuple(operations[:middle])), (middle, tuple(operations[middle:]))]
    one = operations[0]
    name = _PARTED.get(type(one))
    if name is None or not is_too_large:
        return []
    held = getattr(one, name)
    items = tuple(held.items()) if isinstance(held, dict) else held
    if len(items) < 2:
        return []
    middle = len(items) // 2
    return [
        (0, (msgspec.structs.replace(one, **{name: type(held)(half)}),))
        for half in (items[:middle], items[middle:])
    ]
