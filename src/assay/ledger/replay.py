"""Send what processes left in the spool: in order, each batch once, and only what nobody holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec

from assay.base.errors import Error, NotFound
from assay.ledger import spool
from assay.ledger.operations import Batch, Operation, Refusal, StartRun
from assay.ledger.spool import Left

Send = Callable[[Batch], list[Refusal]]


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the files of a spool."""

    sent: tuple[str, ...] = ()  # runs, one a file
    refused: tuple[Refusal, ...] = ()  # kept in `refused.json-lines`
    waiting: tuple[str, ...] = ()  # files that belong elsewhere, or whose run is not known
    problems: tuple[str, ...] = ()  # why some wait


def replay(folder: Path, send: Send, *, to: str) -> Report:
    """Send the files of a folder that belong to a place, and remove each that is sent.

    A file whose run is not known waits until the others are sent: a worker's file may be there
    before that of its run.

    Raises
    ------
    Error
        If the place cannot be written to; files that are sent by then are gone.
    """
    sent: list[str] = []
    refused: list[Refusal] = []
    problems: dict[Path, str] = {}
    waiting = spool.files(folder)
    while waiting:
        again: list[Path] = []
        for path in waiting:
            with spool.claimed(path) as left:
                if left is None or left.header.to != to:
                    continue
                try:
                    refused += _send_file(folder, left, send)
                except NotFound as error:
                    again.append(path)
                    problems[path] = error.what
                    continue
                path.unlink(missing_ok=True)
                sent.append(left.run)
        if len(again) == len(waiting):
            break
        waiting = again
    return Report(
        sent=tuple(sent),
        refused=tuple(refused),
        waiting=tuple(path.name for path in spool.files(folder)),
        problems=tuple(problems[path] for path in waiting if path in problems),
    )


def begun_again(
    batch: Batch, send: Send, started: Mapping[str, StartRun], unknown: NotFound
) -> list[Refusal]:
    """Send a batch to a place that does not know a run, with how that began where that is known.

    Raises
    ------
    Unavailable
        If it is not: who began it may not have been heard of yet.
    """
    from assay.ledger.sinks import Unavailable

    runs = {one.run for one in batch.operations} & set(started)
    for run in sorted(runs):
        send(Batch(sender=f"{batch.sender}/{run}", number=1, operations=(started[run],)))
    if runs:
        try:
            return send(batch)
        except NotFound as error:
            unknown = error
    raise Unavailable(unknown.what, where=unknown.where, hint=unknown.hint) from unknown


def _send_file(folder: Path, left: Left, send: Send) -> list[Refusal]:
    refused: list[Refusal] = []
    started = {one.run: one for one in left.header.started}
    for batch in left.batches:
        try:
            found = send(batch)
        except NotFound as unknown:
            try:
                found = begun_again(batch, send, started, unknown)
            except Error as error:
                if isinstance(error.__cause__, NotFound):
                    raise error.__cause__ from error
                raise
        spool.refuse(folder, [(_operation(batch, one), one.what) for one in found])
        refused += found
    return refused


def _operation(batch: Batch, refusal: Refusal) -> Operation:
    return batch.operations[refusal.index]
