"""The record of a project goes to the hub of `hub.url`: what `assay repro` recorded here.

Scripts record at the hub by themselves. `repro` writes to the project's own ledger, which has no
network to wait for; its runs are sent when they have ended, as packs like those of a push, each
after the objects that it names. What was sent is noted, so that the next time only the rest goes.
"""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound
from assay.bundle import find as bundles
from assay.ledger.exchange.packs import Taken
from assay.ledger.sinks import TooLarge
from assay.project.settings import Store, has_ledger, ledger_where
from assay.project.workspace import Project
from assay.workflows import live, record_state
from assay.workflows.record_places import of_project, temporary
from assay.workflows.records import Part, new_parts, purged_records

if TYPE_CHECKING:
    from assay.ledger.exchange.records import Named, Record
    from assay.ledger.hub import HubSink
    from assay.ledger.sdk.places import Place
    from assay.workflows.record_state import State

_AT_ONCE = 100  # runs in one pack


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What went to a hub: runs, and what it did not take, in words."""

    runs: int = 0
    complaints: tuple[str, ...] = ()


def send(project: Project, place: Place) -> Sent:
    """Send the runs of the project's own ledger that the hub lacks, with their objects.

    Raises
    ------
    assay.Error
        If the hub does not answer, or refuses; what was sent is noted.
    """
    where = ledger_where(project)
    if not has_ledger(project) or not Store(project).value("run.share"):
        return Sent()
    path = _state_path(project, place, ledger=str(where))
    state = record_state.read(path)
    now = record_state.of_file(where)
    if now is not None and state.ledger == now and not state.goes_on:
        return Sent()
    total = Sent()
    try:
        for one in _send_parts(project, place, where, state):
            total = Sent(
                runs=total.runs + one.runs, complaints=(*total.complaints, *one.complaints)
            )
        state.ledger = now if now == record_state.of_file(where) else None
    finally:
        record_state.write(path, state)
    return total


def at_end(project: Project, say: Callable[[str], object]) -> None:
    """Send what a command recorded; a hub that is away is told of, and gets it the next time."""
    from assay.ledger.sdk import places

    place = places.find(project)
    if not place.is_hub:  # a stage of another run
        return
    try:
        sent = send(project, place)
    except Error as error:
        say(
            f"  warning: the hub {place.where} does not have this run yet: {error.what}; "
            "'assay runs sync' sends it"
        )
        return
    for line in sent.complaints:
        say(f"  warning: {line}")


def bring(project: Project, name: str) -> str:
    """Bring the record of a run at the hub into the project's own ledger; return its id.

    Parameters
    ----------
    name : str
        A run, or a model or bundle that came of it, as the hub knows them; where no hub is set
        it is returned as it is.
    """
    from assay.ledger.hub import HubSink
    from assay.ledger.sdk import places
    from assay.pipeline.reproduction import find

    place = places.find(project)
    if not place.is_hub:
        return name
    with place.open() as ledger:
        run = find.id_of(ledger, name)
    sink = HubSink(place.where, objects=place.objects, token=place.token)
    try:
        files = _load(project, sink.pack(run))
        for file in files:
            with contextlib.suppress(NotFound):  # what needs it says so
                if file.is_bundle:
                    bundles.bring(place.objects, sink, file.oid)
                elif not place.objects.has(file.oid):
                    sink.fetch(file.oid, place.objects)
    finally:
        sink.rest()
    return run


def _load(project: Project, content: bytes) -> list[Named]:
    """Unite records with those of the own ledger; return which objects new ones name."""
    from assay.ledger.database import open_ledger
    from assay.ledger.exchange import packs
    from assay.ledger.exchange.loading import Loader

    with temporary(of_project(project)) as folder, open_ledger(ledger_where(project)) as ledger:
        path = Path(folder) / "pack"
        path.write_bytes(content)
        loader = Loader(ledger, at=now_ms())
        loader.add(packs.read(path, where="the hub", complaints=[]))
        return loader.finish().files


def _state_path(project: Project, place: Place, *, ledger: str) -> Path:
    name = hashlib.sha256(f"{place.where}\n{ledger}".encode()).hexdigest()[:16]
    return project.assay_dir / "records" / name


def _send_parts(project: Project, place: Place, where: Path | str, state: State) -> Iterator[Sent]:
    from assay.ledger import liveness
    from assay.ledger.database import open_ledger
    from assay.ledger.exchange import gathering
    from assay.ledger.hub import HubSink

    sink = HubSink(place.where, objects=place.objects, token=place.token)
    try:
        with open_ledger(where, create=False) as ledger:
            liveness.look(ledger, at=now_ms())
            with ledger.read() as connection:
                known = gathering.known(connection)
                state.goes_on = liveness.goes_on(connection)
            for part in list(new_parts(known, state, most=_AT_ONCE)):
                with ledger.read() as connection:
                    found = list(gathering.records(connection, part.runs, part.models))
                yield _send_part(project, sink, [*found, *purged_records(part)], part, state)
    finally:
        sink.rest()


def _send_part(
    project: Project, sink: HubSink, found: Sequence[Record], part: Part, state: State
) -> Sent:
    """Send some records, first the objects that they name; a pack that is too large in halves."""
    named = {file.oid for record in found for file in getattr(record, "files", ())}
    objects = project.objects
    for oid in sorted(live.with_documents(objects, named)):
        if objects.has(oid):
            sink.upload(oid)
    answer = _post(project, sink, found)
    state.runs |= {id_: part.known.runs[id_] for id_ in part.runs}
    state.models |= {id_: part.known.models[id_] for id_ in part.models}
    state.purged += part.purged
    return Sent(runs=answer.runs, complaints=tuple(answer.refused))


def _post(project: Project, sink: HubSink, found: Sequence[Record]) -> Taken:
    from assay.ledger.exchange import packs

    with temporary(of_project(project)) as folder:
        path = Path(folder) / "pack"
        packs.write(path, found)
        body = path.read_bytes()
    try:
        return sink.send_pack(body)
    except TooLarge:
        if len(found) < 2:
            raise
    middle = len(found) // 2
    first, second = _post(project, sink, found[:middle]), _post(project, sink, found[middle:])
    return Taken(runs=first.runs + second.runs, refused=[*first.refused, *second.refused])
