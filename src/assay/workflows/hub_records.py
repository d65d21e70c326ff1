"""The record of a project goes to the hub of `hub.url`: what `assay repro` recorded here.

Scripts record at the hub by themselves. `repro` writes to the project's own ledger, which has no
network to wait for; its runs are sent when they have ended, as packs like those of a push, each
after the objects that it names. What was sent is noted, so that the next time only the rest goes.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound
from assay.ledger.exchange.loaded import Loaded
from assay.ledger.exchange.packs import Taken
from assay.ledger.sinks import TooLarge, Unavailable
from assay.project.settings import Store, has_ledger, ledger_where
from assay.project.workspace import Project
from assay.workflows import live, record_state
from assay.workflows.record_places import of_project, temporary
from assay.workflows.records import Part, new_parts, pack

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.exchange.passing import Passed
    from assay.ledger.exchange.records import Record
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
        brought = {*state.brought, *record_state.read(path).brought}  # meanwhile, by another
        state.brought = sorted(brought)
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


def bring(project: Project, name: str, *, say: Callable[[str], object]) -> str:
    """Bring the record of a run at the hub into the project's own ledger; return its id.

    With it come the objects that it takes to do the run again: the plan, and what was kept of the
    code. What becomes of the record here is never sent to the hub.

    Parameters
    ----------
    name : str
        A run, or a model or bundle that came of it, as the hub knows them; where no hub is set,
        or only the own ledger has the run, it is returned as it is.

    Raises
    ------
    NotFound
        If neither the hub nor the own ledger has it.
    assay.Error
        If the record cannot be taken in whole, or was deleted or purged here.
    """
    from assay.ledger.askable import HubLedger
    from assay.ledger.hub import HubSink
    from assay.ledger.sdk import places
    from assay.pipeline.reproduction import find

    place = places.find(project)
    if not place.is_hub:
        return name
    sink = HubSink(place.where, objects=place.objects, token=place.token)
    try:
        try:
            name = find.id_of(HubLedger.open(sink), name)
            content = sink.pack(name)
        except (NotFound, Unavailable) as error:
            if not _is_here(project, name):
                raise
            at = error.where or sink.name
            say(f"note: {at}: {error.what}; the record in this project's own ledger is used")
            return name
        for oid in sorted(_unite(project, place, name, content)):
            with contextlib.suppress(NotFound):  # what needs it says so
                if not place.objects.has(oid):
                    sink.fetch(oid, place.objects)
    finally:
        sink.rest()
    return name


def _is_here(project: Project, name: str) -> bool:
    from assay.ledger.database import open_ledger
    from assay.pipeline.reproduction import find

    try:
        with open_ledger(ledger_where(project), create=False) as ledger:
            return bool(find.id_of(ledger, name))
    except Error:
        return False


def _unite(project: Project, place: Place, run: str, content: bytes) -> set[str]:
    """Unite the records around a run with those of the own ledger; return the objects it takes."""
    from assay.ledger import runs
    from assay.ledger.database import open_ledger

    with open_ledger(ledger_where(project)) as ledger:
        came = _load(project, place, ledger, content)
        if came.done.purged:
            raise Error(
                f"the run {came.done.purged[0]} is purged here, and does not come back",
                where=ledger.name,
                hint="do it again in another clone",
            )
        if complaints := [*came.complaints, *came.done.refused]:
            raise Error(
                f"the record of the run {run} cannot be taken in whole: {complaints[0]}",
                where=place.where,
                hint="see whether the hub has this version of Assay: 'curl …/version'",
            )
        try:
            runs.get(ledger, run)
        except runs.Deleted as error:
            hint = f"bring it back: assay runs restore --directory . {run}"
            raise Error(f"the run {run} is deleted here", where=ledger.name, hint=hint) from error
    return came.needed


class _Came(NamedTuple):
    """What became of records, which objects it takes to do their runs again, and complaints."""

    done: Loaded
    needed: set[str]
    complaints: list[str]


def _load(project: Project, place: Place, ledger: Ledger, content: bytes) -> _Came:
    from assay.ledger.exchange import packs
    from assay.ledger.exchange.loading import Loader

    complaints: list[str] = []
    needed: set[str] = set()
    loader = Loader(ledger, at=now_ms())
    with temporary(of_project(project)) as folder:
        path = Path(folder) / "pack"
        path.write_bytes(content)
        try:
            found = packs.read(path, where="the hub", complaints=complaints)
            loader.add(_noting(found, needed))
            return _Came(loader.finish(), needed, complaints)
        finally:  # also what came before it was broken off is the hub's
            _note_brought(project, place, loader.done)


def _note_brought(project: Project, place: Place, done: Loaded) -> None:
    path = _state_path(project, place, ledger=str(ledger_where(project)))
    state = record_state.read(path)
    state.brought += [*done.new, *done.new_models]
    state.runs |= done.runs
    record_state.write(path, state)


def _noting(found: Iterable[Record], needed: set[str]) -> Iterator[Record]:
    """Go through records, and note which objects it takes to do their runs again."""
    from assay.ledger.exchange.records import RunRecord
    from assay.pipeline.record import PLAN

    for record in found:
        if isinstance(record, RunRecord):
            taken = {record.code_diff, *(one.oid for one in record.untracked)}
            taken |= {one.oid for one in record.artifacts if one.path == PLAN}
            taken |= {one.oid for one in record.data if one.direction == "input"}
            needed |= {one.oid for one in record.files if f"sha256:{one.oid}" in taken}
        yield record


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
                with temporary(of_project(project)) as folder:
                    path = Path(folder) / "pack"
                    passed = pack(ledger, part, path)
                    yield _send_part(project, sink, path, passed, part, state)
    finally:
        sink.rest()


def _send_part(
    project: Project, sink: HubSink, path: Path, passed: Passed, part: Part, state: State
) -> Sent:
    """Send some records, first the objects that they name; a pack that is too large in halves."""
    named = {file.oid for file in passed.files}
    objects = project.objects
    for oid in sorted(live.with_documents(objects, named)):
        if objects.has(oid):
            sink.upload(oid)
    answer = _post(sink, path)
    state.runs |= {id_: part.known.runs[id_] for id_ in part.runs}
    state.models |= {id_: part.known.models[id_] for id_ in part.models}
    state.purged += part.purged
    return Sent(runs=answer.runs, complaints=tuple(answer.refused))


def _post(sink: HubSink, path: Path) -> Taken:
    from assay.ledger.exchange import packs

    try:
        return sink.send_pack(path.read_bytes())
    except TooLarge:
        size = sum(1 for _ in packs.read(path, where=str(path), complaints=[]))
        if size < 2:
            raise
    complaints: list[str] = []
    refused: list[str] = []
    runs = 0
    for begin, end in ((0, size // 2), (size // 2, size)):
        half = path.with_name(f"{path.name}.{begin}")
        found = packs.read(path, where="the pack", complaints=complaints)
        packs.write(half, itertools.islice(found, begin, end))
        answer = _post(sink, half)
        runs += answer.runs
        refused += answer.refused
    return Taken(runs=runs, refused=[*dict.fromkeys([*complaints, *refused])])
