"""The record travels: runs go to a remote with `push`, and come with `fetch` and `pull`.

A push writes what is new or changed as one pack, `assay/runs/HASH`, and the objects that it names
below `assay/sha256` before it. The name of a pack is the hash of its bytes, so that two pushes
never meet; a fetch reads the packs that it has not seen. Runs that go on do not travel.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error
from assay.base.progress import progress
from assay.objects.hashing import hash_file
from assay.objects.remotes import Item, Remote, RemoteSettings
from assay.objects.remotes.parallel import ParallelRemote
from assay.project.settings import Store, has_ledger, ledger_where
from assay.project.workspace import Project
from assay.workflows import record_objects, record_state
from assay.workflows.record_places import of_project, temporary
from assay.workflows.record_state import State

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.exchange.gathering import Known
    from assay.ledger.exchange.loaded import Loaded
    from assay.ledger.exchange.passing import Passed
    from assay.ledger.exchange.records import Record

PREFIX = "assay/runs"
"""Where packs of records lie on a remote."""

_PACK = 5000  # runs in one
_NAME = re.compile(rf"{PREFIX}/([0-9a-f]{{64}})")


class Travelled(msgspec.Struct, frozen=True, kw_only=True):
    """What came or went.

    Attributes
    ----------
    runs : int
        Runs and logged models whose record was sent, or that are new or changed here; the parts
        of a run count with it, and by themselves where nothing else does.
    objects : int
        Artifacts and other objects that were copied.
    notes : list of str
        What else a person should know.
    complaints : list of str
        What was left out, and why.
    """

    runs: int = 0
    objects: int = 0
    notes: list[str] = []
    complaints: list[str] = []


def are_shared(project: Project) -> bool:
    """Say whether records go along unasked: not where a team has one database for all of them."""
    in_database = isinstance(ledger_where(project), str)
    return not in_database and bool(Store(project).value("run.share"))


def can_travel(remote: Remote) -> bool:
    """Say whether a remote can list what it has; a web server cannot."""
    return getattr(type(remote), "entries", None) is not ParallelRemote.entries


def push(project: Project, settings: RemoteSettings, remote: Remote) -> Travelled:
    """Send the records that a remote lacks, with the objects that they name."""
    where = ledger_where(project)
    if not has_ledger(project):
        return Travelled()
    place = record_state.path_of(project, settings, ledger=str(where))
    state = record_state.read(place)
    listed = _listed(remote)
    lost = state.packs.keys() - listed
    state.forget(lost)
    if lost and (others := sorted(listed - state.packs.keys())):
        _learn(project, remote, others, state)
    now = record_state.of_file(where)
    if now is not None and state.ledger == now and not state.goes_on:
        return Travelled()
    sent = _send(project, remote, where, state)
    state.ledger = now if now == record_state.of_file(where) else None
    record_state.write(place, state)
    return sent


def _send(project: Project, remote: Remote, where: Path | str, state: State) -> Travelled:
    from assay.ledger import liveness
    from assay.ledger.database import open_ledger
    from assay.ledger.exchange import gathering

    total = Travelled()
    with open_ledger(where, create=False) as ledger:
        liveness.look(ledger, at=now_ms())
        with ledger.read() as connection:
            known = gathering.known(connection)
            state.goes_on = liveness.goes_on(connection)
        for part in list(new_parts(known, state, most=_PACK)):
            total = _added(total, _send_part(project, remote, ledger, part, state))
    return total


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """What goes into one pack, with the moments of the changes."""

    runs: list[str]
    models: list[str]
    purged: dict[str, int]
    known: Known

    @property
    def ids(self) -> list[str]:
        """All that is in it."""
        return [*self.runs, *self.models, *self.purged]


def new_parts(known: Known, state: State, *, most: int) -> Iterator[Part]:
    """Go through what a remote or a hub has not, so much at a time as goes into one pack."""
    gone = {*state.purged, *state.brought}
    changed = [id_ for id_, at in known.runs.items() if state.runs.get(id_) != at]
    runs = [id_ for id_ in changed if id_ not in gone]
    models = [id_ for id_, at in known.models.items() if state.models.get(id_) != at]
    models += [id_ for run in runs for id_ in known.models_of.get(run, ())]
    models = [id_ for id_ in dict.fromkeys(models) if id_ not in gone]
    gone -= state.held  # a pack that came meanwhile has the record of one
    purged = {id_: at for id_, at in known.purged.items() if id_ not in gone}
    for begin in range(0, max(len(runs), 1), most):
        is_last = begin + most >= len(runs)
        part = Part(
            runs=runs[begin : begin + most],
            models=models if is_last else [],
            purged=purged if is_last else {},
            known=known,
        )
        if part.ids:
            yield part


def purged_records(part: Part) -> list[Record]:
    """Return the records of runs that are gone."""
    from assay.ledger.exchange.records import PurgedRecord

    return [PurgedRecord(id=id_, at=at) for id_, at in part.purged.items()]


def pack(
    ledger: Ledger, part: Part, path: Path, *, rest: Iterable[Record] = ()
) -> Passed:  # fmt: skip
    """Write what a remote or a hub has not to a file, and return what it names, without `rest`."""
    from assay.ledger.exchange import gathering, packs
    from assay.ledger.exchange.passing import Passed

    passed = Passed()
    with ledger.read() as connection:
        found = passed.noting(gathering.records(connection, part.runs, part.models))
        packs.write(path, itertools.chain(found, purged_records(part), rest))
    return passed


def _send_part(
    project: Project, remote: Remote, ledger: Ledger, part: Part, state: State
) -> Travelled:
    """Send one pack: first what it names, so that nobody reads of what is not there."""
    old = [n for n, ids in state.packs.items() if not part.purged.keys().isdisjoint(ids)]
    with temporary(of_project(project)) as folder:
        rest, old = _without(remote, old, part.purged.keys(), Path(folder))
        path = Path(folder) / "pack"
        passed = pack(ledger, part, path, rest=rest)
        moved, notes = record_objects.send(project, remote, passed)
        name = _send_pack(remote, path)
    remote.remove([f"{PREFIX}/{one}" for one in old if one != name])
    held = [id_ for one in old for id_ in state.packs.pop(one)]
    buried = [id_ for one in old for id_ in state.graves.pop(one, ())]
    rest_of = [id_ for id_ in held if id_ not in part.purged]
    state.packs[name] = [*part.runs, *part.models, *rest_of]
    state.graves[name] = [*{*part.purged, *buried}]
    state.runs |= {id_: part.known.runs[id_] for id_ in part.runs}
    state.models |= {id_: part.known.models[id_] for id_ in part.models}
    state.purged = [*{*state.purged, *part.purged}]
    return Travelled(runs=_counted(part.ids, part.known.parts), objects=moved, notes=notes)


def _without(
    remote: Remote, names: Sequence[str], gone: AbstractSet[str], folder: Path
) -> tuple[Iterator[Record], list[str]]:
    """Return what packs hold beside the records of runs that are gone, and which could be read.

    It goes into the new pack, and then the old ones are removed.
    """
    from assay.ledger.exchange import packs

    whole = dict(_whole(remote, names, folder))
    rest = (
        one
        for name, path in whole.items()
        for one in packs.read(path, where=name, complaints=[])
        if _is_buried(one) or getattr(one, "id", None) not in gone
    )
    return rest, list(whole)


def _learn(project: Project, remote: Remote, names: Sequence[str], state: State) -> None:
    """Note what packs hold that others wrote, before what they replaced is sent once more."""
    from assay.ledger.exchange import packs
    from assay.ledger.exchange.records import ModelRecord, PurgedRecord, RunRecord

    with temporary(of_project(project)) as folder:
        for name, path in _whole(remote, names, Path(folder)):
            for one in packs.read(path, where=name, complaints=[]):
                if isinstance(one, RunRecord):
                    state.runs[one.id] = one.stamp
                elif isinstance(one, ModelRecord):
                    state.models[one.id] = one.updated
                elif isinstance(one, PurgedRecord) and one.id not in state.purged:
                    state.purged.append(one.id)


def _is_buried(record: Record) -> bool:
    from assay.ledger.exchange.records import PurgedRecord

    return isinstance(record, PurgedRecord)


def _whole(remote: Remote, names: Sequence[str], folder: Path) -> Iterator[tuple[str, Path]]:
    """Copy packs of a remote into a folder; go through those of which each record can be read."""
    from assay.ledger.exchange import packs

    for name in _downloaded(remote, names, folder, []):
        complaints: list[str] = []
        path = folder / PREFIX / name
        try:
            for _ in packs.read(path, where=name, complaints=complaints):
                pass
        except Error:
            continue
        if not complaints:
            yield name, path


def _send_pack(remote: Remote, path: Path) -> str:
    oid, _ = hash_file(path, algorithm="sha256")
    item = Item(f"{PREFIX}/{oid}", path, oid, "sha256")
    if remote.upload([item], advance=lambda _count: None):
        raise Error("the records were changed while they were sent", where=path)
    return oid


def fetch(
    project: Project, settings: RemoteSettings, remote: Remote, *, artifacts: bool | None = None
) -> Travelled:
    """Bring the records that are not here, and objects that they name.

    Parameters
    ----------
    artifacts : bool, optional
        Bring the artifacts of all runs that are not here, or none; without it, those of runs that
        are new here, up to `record_objects.MOST` bytes.
    """
    where = ledger_where(project)
    place = record_state.path_of(project, settings, ledger=str(where))
    state = record_state.read(place)
    listed = _listed(remote)
    state.forget(state.packs.keys() - listed)
    new = sorted(listed - state.packs.keys())
    if not new and not (artifacts and has_ledger(project)):
        return Travelled()
    loaded, complaints = _load(project, remote, where, new, state)
    record_state.write(place, state)
    moved, notes = record_objects.bring(project, remote, where, loaded, artifacts=artifacts)
    return Travelled(
        runs=_counted([*loaded.new, *loaded.new_models, *loaded.changed], loaded.parts),
        objects=moved,
        notes=notes,
        complaints=[*complaints, *loaded.refused],
    )


def _load(
    project: Project, remote: Remote, where: Path | str, new: Sequence[str], state: State
) -> tuple[Loaded, list[str]]:
    """Read packs into the ledger; one that cannot be read now is read again the next time."""
    from assay.ledger.database import open_ledger
    from assay.ledger.exchange import packs
    from assay.ledger.exchange.loading import Loader

    complaints: list[str] = []
    seen: dict[str, _Held] = {}
    with temporary(of_project(project)) as folder, open_ledger(where) as ledger:
        loader = Loader(ledger, at=now_ms())
        for name in _downloaded(remote, new, Path(folder), complaints):
            shown = f"{PREFIX}/{name[:12]}"
            read = packs.read(Path(folder) / PREFIX / name, where=shown, complaints=complaints)
            loader.add(_noting(read, name, seen, complaints))
        loaded = loader.finish()
    if len(seen) == len(new) or not loaded.refused:  # else what is missing may still come
        state.packs |= {name: held.ids for name, held in seen.items()}
        state.graves |= {name: held.graves for name, held in seen.items()}
        state.ledger = None
        state.runs |= loaded.runs
        state.models |= loaded.models
        state.purged = [*{*state.purged, *loaded.buried}]
    return loaded, complaints


class _Held(NamedTuple):
    """What a pack holds: records of runs and logged models, and of those that are gone."""

    ids: list[str]
    graves: list[str]


def _noting(
    found: Iterable[Record], name: str, seen: dict[str, _Held], complaints: list[str]
) -> Iterator[Record]:
    """Go through the records of a pack, and note it as seen after the last, with their ids.

    What is wrong with the pack is a complaint; what is wrong with the ledger, whoever writes to it
    is told.
    """
    held = _Held([], [])
    try:
        for record in found:
            if (id_ := getattr(record, "id", None)) is not None:
                (held.graves if _is_buried(record) else held.ids).append(id_)
            yield record
    except Error as error:
        complaints.append(f"{PREFIX}/{name[:12]}: {error.what}")
    else:
        seen[name] = held


def _downloaded(
    remote: Remote, names: Sequence[str], folder: Path, complaints: list[str]
) -> list[str]:
    """Copy packs into a folder; return those that are whole."""
    items = [Item(f"{PREFIX}/{n}", f"{folder}/{PREFIX}/{n}", n, "sha256") for n in names]
    if not items:
        return []
    (folder / PREFIX).mkdir(parents=True)
    with progress("fetching runs", total=len(items)) as bar:
        damaged = remote.download(items, advance=bar.advance)
    bad = {one.item.oid for one in damaged}
    complaints += [f"{one.where}: it is damaged or cut off" for one in damaged]
    return [name for name in names if name not in bad]


def _listed(remote: Remote) -> set[str]:
    """Return the names of the packs on a remote, with one listing."""
    return {match[1] for key in remote.list_(PREFIX) if (match := _NAME.fullmatch(key))}


def _counted(ids: Sequence[str], parts: set[str]) -> int:
    return sum(id_ not in parts for id_ in ids) or len(ids)


def _added(a: Travelled, b: Travelled) -> Travelled:
    return Travelled(
        runs=a.runs + b.runs, objects=a.objects + b.objects, notes=[*a.notes, *b.notes]
    )
