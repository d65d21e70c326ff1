"""Runs in one file: `runs export` writes a ZIP archive, `runs import` reads it in another project.

The archive holds `records`, a pack as it lies on a remote, and the objects that it names below
`objects/`, each under its SHA-256. What comes in is checked: each record, and each object against
its name.
"""

from __future__ import annotations

import contextlib
import errno
import lzma
import re
import shutil
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, Taken
from assay.base.files import explain, writing
from assay.ledger import deleting, listing, liveness, runs
from assay.ledger.database import open_ledger
from assay.ledger.exchange import gathering, loading, packs
from assay.ledger.exchange.passing import Passed
from assay.objects.cache import Cache
from assay.objects.hashing import hash_file
from assay.workflows.live import with_documents
from assay.workflows.record_places import Place, temporary

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger
    from assay.ledger.exchange.loaded import Loaded
    from assay.ledger.exchange.records import Record

RECORDS = "records"
_OBJECT = re.compile(r"objects/([0-9a-f]{2})/([0-9a-f]{62})")
_ENCRYPTED = 1  # of the flags of an entry
_DATE = (1980, 1, 1, 0, 0, 0)
_OF_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, UnicodeDecodeError,
    KeyError, EOFError, NotImplementedError, OverflowError,
)  # fmt: skip
"""What reading an archive ends in that is none, or was damaged."""


class Exported(msgspec.Struct, frozen=True, kw_only=True):
    """What went into a file.

    Attributes
    ----------
    running : int
        Runs that were left out of all since they go on.
    artifacts, others : int
        Files that the runs and logged models keep under a path; patches, profiles and the like,
        which their records name besides.
    missing, others_missing : int
        Those of both that are not here.
    """

    path: Path
    runs: int
    ids: list[str]
    running: int
    artifacts: int
    others: int
    missing: int
    others_missing: int
    size: int


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """What came out of a file or a foreign store.

    Attributes
    ----------
    new, changed : int
        Runs that were not here; runs and logged models that are not as they were.
    models : int
        New logged models.
    versions : int
        New versions of registered models.
    artifacts, others : int
        Files that came with them under a path; what else came that records name, such as patches.
    """

    new: int = 0
    models: int = 0
    changed: int = 0
    versions: int = 0
    artifacts: int = 0
    others: int = 0
    complaints: list[str] = []


def write(
    place: Place,
    names: Sequence[str],
    *,
    experiment: str | None = None,
    every: bool = False,
    out: Path | None = None,
    artifacts: bool = True,
    overwrite: bool = False,
) -> Exported:
    """Write runs with their parts, and what they are a part of, to a file.

    Parameters
    ----------
    names : sequence of str
        As `runs.get` takes them.
    experiment : str, optional
        All runs of this one, too.
    every : bool
        All runs instead, but for those that go on.

    Raises
    ------
    NotFound
        If there is no such run.
    Taken
        If the file is there, unless `overwrite`.
    Error
        If a run goes on.
    """
    with temporary(place) as folder, open_ledger(place.ledger, create=False) as ledger:
        liveness.look(ledger, at=now_ms())
        ids, n_running = _every(ledger) if every else (_chosen(ledger, names, experiment), 0)
        path = out or Path(f"runs-{ids[0][:13]}.zip")
        if path.exists() and not overwrite:
            hint = "give another one, or '--force'"
            raise Taken("the file is there already", where=path, hint=hint)
        records = Path(folder) / RECORDS
        passed = _gather(ledger, ids, records)
        named = _named(place.objects, passed if artifacts else Passed())
        _pack(place.objects, path, records, named.here)
    return Exported(
        path=path,
        runs=len(ids),
        ids=ids,
        running=n_running,
        artifacts=len(named.artifacts) - sum(oid in named.lacking for oid in named.artifacts),
        others=len(set(named.here).difference(named.artifacts)),
        missing=sum(oid in named.lacking for oid in named.artifacts),
        others_missing=len(named.lacking.intersection(named.files).difference(named.artifacts)),
        size=path.stat().st_size,
    )


class _Named(NamedTuple):
    """The objects that records name: under a path, at all, and those that are here or are not."""

    artifacts: list[str]
    files: list[str]
    here: list[str]
    lacking: set[str]


def _gather(ledger: Ledger, ids: Sequence[str], into: Path) -> Passed:
    """Write all records that belong to runs to a pack, and return what they name."""
    passed = Passed()
    with ledger.read() as connection:
        models = _models(connection, ids)
        packs.write(into, passed.noting(gathering.records(connection, ids, models)))
    return passed


def _named(objects: Cache, passed: Passed) -> _Named:
    files = [file.oid for file in passed.files]
    every = with_documents(objects, files)
    lacking = set(objects.lacking(sorted(every)))
    artifacts = [oid for _, oid in passed.artifacts]
    return _Named(artifacts, files, sorted(every - lacking), lacking)


def _pack(objects: Cache, path: Path, records: Path, oids: Sequence[str]) -> None:
    with writing(path) as handle, zipfile.ZipFile(handle, "w") as archive:
        _add(archive, records, RECORDS)
        for oid in oids:
            _add(archive, objects.path(oid), f"objects/{oid[:2]}/{oid[2:]}")


def _chosen(ledger: Ledger, names: Sequence[str], experiment: str | None) -> list[str]:
    """Return the runs that are meant: with what they are a part of, and their own parts."""
    ids = [runs.get(ledger, name).id for name in names]
    if experiment is not None:
        of = runs.list_(ledger, experiment=experiment, limit=1 << 30, top_level=False)
        if not of:
            listing.check_experiment(ledger, experiment)
            raise NotFound(
                f"the experiment {experiment!r} has no runs", hint="'assay runs experiments'"
            )
        ids += [one.id for one in of]
    with ledger.read() as connection:
        known = gathering.known(connection).runs
        every = dict.fromkeys(deleting.with_parts(connection, _from_the_top(ledger, ids)))
    for id_ in every:
        if id_ not in known:
            raise Error(
                f"the run {id_} goes on, or is a part of one that does",
                hint="export it when it has ended",
            )
    return [id_ for id_ in known if id_ in every]


def _every(ledger: Ledger) -> tuple[list[str], int]:
    """Return all runs that are not deleted and have ended, and how many go on."""
    found = runs.list_(ledger, limit=1 << 30, top_level=False)
    with ledger.read() as connection:
        known = gathering.known(connection).runs
    there = {one.id for one in found}
    ids = [id_ for id_ in known if id_ in there]
    if not ids:
        raise NotFound("there is no run that has ended", hint="'assay runs list --all'")
    return ids, sum(one.id not in known for one in found)


def _from_the_top(ledger: Ledger, ids: Sequence[str]) -> list[str]:
    every: dict[str, None] = {}
    for id_ in ids:
        line = [id_]
        while (above := runs.get(ledger, line[-1]).parent) is not None and above not in line:
            line.append(above)
        every |= dict.fromkeys(reversed(line))
    return list(every)


def _models(connection: Connection, ids: Sequence[str]) -> list[str]:
    """Return the logged models that runs made or read."""
    known = gathering.known(connection)
    made = [model for id_ in ids for model in known.models_of.get(id_, ())]
    linked = gathering.links(connection, ids)
    return [model for model in dict.fromkeys([*made, *linked]) if model in known.models]


def _add(archive: zipfile.ZipFile, source: Path, name: str) -> None:
    """Put a file into an archive, always with the same bytes for the same content."""
    info = zipfile.ZipInfo(name, _DATE)
    info.compress_type = zipfile.ZIP_STORED if name == RECORDS else zipfile.ZIP_DEFLATED
    info.file_size = source.stat().st_size
    with source.open("rb") as handle, archive.open(info, "w") as target:
        shutil.copyfileobj(handle, target, 1 << 20)


def read(place: Place, path: Path, *, artifacts: bool = True) -> Imported:
    """Take the runs of a file into the ledger, and its objects into the store.

    Raises
    ------
    NotFound
        If there is no such file.
    Error
        If it is no file of `runs export`, or a damaged one. No run is taken then.
    """
    complaints: list[str] = []
    with temporary(place) as folder:
        records = Path(folder) / RECORDS
        with _opened(path) as archive:
            passed = _look_through(archive, records, path, complaints)
            came = _objects(archive, place.objects, Path(folder)) if artifacts else None
        done = _load(place, packs.read(records, where=str(path), complaints=[]))
    kept = [] if came is None else _kept(place.objects, passed, done, came)
    purged = [f"the run {id_} was purged here and stays away" for id_ in done.purged]
    return Imported(
        new=len(done.new),
        models=len(done.new_models),
        changed=len(done.changed),
        artifacts=len(kept),
        others=len((came or set()).difference(kept)),
        complaints=[*complaints, *done.refused, *purged],
    )


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open an archive; what is wrong with it, there or when it is read, is an error."""
    try:
        with zipfile.ZipFile(path) as archive:
            if any(info.flag_bits & _ENCRYPTED for info in archive.infolist()):
                raise zipfile.BadZipFile(path)
            yield archive
    except FileNotFoundError:
        raise NotFound("there is no such file", where=path) from None
    except OSError as error:
        if error.errno in {None, errno.EINVAL}:  # of a decompressor, of an offset that is none
            raise _damaged(path) from error
        raise explain(error, path) from error
    except _OF_DAMAGED as error:
        raise _damaged(path) from error


def _damaged(path: Path) -> Error:
    return Error(
        "this is no file of 'assay runs export', or it is damaged",
        where=path,
        hint="export it again",
    )


def _kept(
    objects: Cache, passed: Passed, done: Loaded, came: set[str]
) -> list[str]:  # fmt: skip
    """Return the artifacts that came, and those of new runs that were here before."""
    new = {*done.new, *done.new_models}
    return [
        oid for id_, oid in passed.artifacts if oid in came or (id_ in new and objects.has(oid))
    ]


def _load(place: Place, found: Iterable[Record]) -> Loaded:
    with open_ledger(place.ledger) as ledger:
        loader = loading.Loader(ledger, at=now_ms())
        loader.add(found)
        return loader.finish()


def _look_through(
    archive: zipfile.ZipFile, into: Path, path: Path, complaints: list[str]
) -> Passed:  # fmt: skip
    """Unpack the records, read all of them before one is taken, and return what they name."""
    with archive.open(RECORDS) as source, into.open("wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)
    passed = Passed()
    for record in packs.read(into, where=str(path), complaints=complaints):
        passed.add(record)
    return passed


def _objects(archive: zipfile.ZipFile, objects: Cache, folder: Path) -> set[str]:
    """Take the objects of an archive that are not here; one with another hash is an error."""
    came: set[str] = set()
    for info in archive.infolist():
        match = _OBJECT.fullmatch(info.filename)
        if match is None or objects.has(match[1] + match[2]):
            continue
        place = folder / "object"
        with archive.open(info) as source, place.open("wb") as target:
            shutil.copyfileobj(source, target, 1 << 20)
        if hash_file(place, algorithm="sha256")[0] != match[1] + match[2]:
            raise zipfile.BadZipFile(info.filename)
        came.add(objects.add_file(place).oid)
    return came
