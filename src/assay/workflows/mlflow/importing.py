"""`runs import --mlflow`: take what MLflow recorded into the ledger and the object store."""

from __future__ import annotations

import itertools
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

import msgspec

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound, Usage
from assay.base.progress import progress
from assay.ledger import artifacts as places
from assay.ledger import forms, lineage, model_names, rows, tables, values
from assay.ledger.database import open_ledger
from assay.ledger.exchange import record_checks
from assay.ledger.exchange.loaded import Loaded
from assay.ledger.exchange.loading import Loader
from assay.ledger.exchange.records import ArtifactRecord, ModelRecord, Record
from assay.objects.cache import Cache
from assay.workflows.mlflow import FoundModel, FoundRun, Registered, RegisteredVersion, Store
from assay.workflows.mlflow.database import Database
from assay.workflows.mlflow.files import Files
from assay.workflows.record_places import Place
from assay.workflows.run_files import Imported

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from assay.ledger.database import Ledger


def read(
    place: Place,
    store: str,
    *,
    artifacts: bool = True,
    artifacts_from: Path | None = None,
) -> Imported:
    """Take all that a store of MLflow has; importing again brings what is new.

    Parameters
    ----------
    store : str
        A folder `mlruns` or a database file, as a path or as MLflow's URI.
    artifacts : bool
        Copy artifacts into the object store, too.
    artifacts_from : Path, optional
        Where MLflow's artifacts lie now; by default where it says, or beside the store.

    Raises
    ------
    NotFound
        If there is no such file or folder.
    Error
        If it is no store of MLflow; nothing is changed then. If its database is damaged; what
        was read before stays.
    """
    opened = _open(store)
    keeper = _Keeper(place.objects, opened, artifacts_from) if artifacts else None
    try:
        done, n_versions = _take(place, opened, keeper)
    finally:
        opened.close()
    came = [*done.new, *done.new_models, *done.changed]
    lost = [] if keeper is None else keeper.complaints
    purged = [f"the run {id_} was purged here and stays away" for id_ in done.purged]
    return Imported(
        new=len(done.new),
        models=len(done.new_models),
        changed=len(done.changed),
        versions=n_versions,
        artifacts=0 if keeper is None else sum(keeper.n_files.get(id_, 0) for id_ in came),
        complaints=[*opened.complaints, *done.refused, *purged, *lost],
    )


def _take(place: Place, store: Store, keeper: _Keeper | None) -> tuple[Loaded, int]:
    """Take a store into the ledger; return what came, and how many versions are new."""
    with open_ledger(place.ledger) as ledger:
        loader = Loader(ledger, at=now_ms(), orphans=True)
        with progress("importing", total=None, unit="runs") as bar:
            loader.add(_records(store, keeper, bar.advance))
            done = loader.finish()
        return done, _register(ledger, store.registered(), store.complaints)


def _open(store: str) -> Store:
    """Return the reader for a store."""
    path = _path(store)
    if path.is_dir():
        database = path / "mlflow.db"
        if not (path / "mlruns").is_dir() and not database.is_file():
            return Files(path)
        raise Usage(
            "this is the folder around a store of MLflow",
            where=path,
            hint=f"--mlflow {database if database.is_file() else path / 'mlruns'}",
        )
    if not path.exists():
        raise NotFound(
            "there is no such store of MLflow",
            where=path,
            hint="give a folder 'mlruns', or a database file such as 'mlflow.db'",
        )
    return Database(path)


def _path(store: str) -> Path:
    """Return the path that a person means by a path or one of MLflow's URIs.

    Examples
    --------
    >>> [str(_path(one)) for one in ("mlruns", "file:///a/mlruns", "sqlite:///b.db")]
    ['mlruns', '/a/mlruns', 'b.db']
    """
    if "://" not in store:
        return Path(store.removeprefix("file:"))
    scheme, rest = store.split("://", 1)
    if scheme == "sqlite":
        return Path(rest.removeprefix("/"))
    if scheme == "file":
        return Path(unquote(urlsplit(store).path))
    raise Usage(
        f"a store of MLflow that is read is a folder or an SQLite file, not {scheme!r}",
        hint="give the folder 'mlruns' or the file 'mlflow.db' of the server; of another database "
        "'mlflow db' and its own tools make a copy",
    )


def _records(store: Store, keeper: _Keeper | None, advance: Any) -> Iterator[Record]:
    """Go through the records of a store; why another is left out is a complaint."""
    for record in store.experiments():
        if _is_one(record, store.complaints):
            yield record
    for found in itertools.chain[FoundRun | FoundModel](store.runs(), store.models()):
        if not _is_one(found.record, store.complaints):  # before files are looked for by its id
            continue
        kept = found.record if keeper is None else keeper.keep(found)
        if keeper is None or _is_one(kept, store.complaints):
            yield kept
            advance()


def _is_one(record: Record, complaints: list[str]) -> bool:
    try:
        record_checks.check(record)
    except Error as error:
        complaints.append(error.what)
        return False
    return True


class _Keeper:
    """Takes artifacts into the object store."""

    def __init__(self, objects: Cache, store: Store, given: Path | None) -> None:
        self._objects, self._roots = objects, (given,) if given is not None else store.roots
        self._folder = store.folder
        self._is_given = given is not None
        self.n_files: dict[str, int] = {}
        self.complaints: list[str] = []

    def keep(self, found: FoundRun | FoundModel) -> Any:
        """Return the record of a run or a logged model with its artifacts."""
        record: Any = found.record
        folder = self._find(found)
        if folder is None:
            if found.uri is not None and not _is_local(found.uri):
                self.complaints.append(
                    f"the artifacts of {record.id} lie in {found.uri} and stay there"
                )
                return msgspec.structs.replace(record, artifact_uri=found.uri)
            return record
        files = dict(_files(folder))
        bad = [n for n in files if not forms.is_inside(n) or not values.is_plain(n)]
        self.complaints += [f"the artifact {name!r} of {record.id} is left out" for name in bad]
        names = [name for name in files if name not in bad]
        stored = self._objects.add_files([files[name] for name in names])
        self.n_files[record.id] = len(names)
        at = record.created if isinstance(record, ModelRecord) else record.end or record.start
        kept = tuple(
            ArtifactRecord(path=name, oid=f"sha256:{one.oid}", size=one.size, at=at)
            for name, one in zip(names, stored, strict=True)
        )
        return msgspec.structs.replace(record, artifacts=kept)

    def _find(self, found: FoundRun | FoundModel) -> Path | None:
        """Return the folder of artifacts: where MLflow says, or where it would be by default."""
        said = _local(found.uri) if found.uri is not None and not self._is_given else None
        chosen = [self._folder / said] if said is not None else []
        chosen += [root / found.folder for root in self._roots]
        return next((one for one in chosen if os.path.isdir(one)), None)  # noqa: PTH112 -- any text


def _is_local(uri: str) -> bool:
    return _local(uri) is not None or uri.startswith("mlflow-artifacts:")


def _local(uri: str) -> Path | None:
    """Return the folder that an artifact URI names on this machine, as it is written.

    Examples
    --------
    >>> _local("file:///a%20b/c"), _local("/a/b"), _local("s3://bucket/a")
    (PosixPath('/a b/c'), PosixPath('/a/b'), None)
    >>> _local("./mlruns/0"), _local("."), _local("file://")
    (PosixPath('mlruns/0'), None, None)
    """
    if "://" not in uri and not uri.startswith(("file:", "mlflow-artifacts:")):
        found = Path(uri)
    else:
        try:
            parts = urlsplit(uri)
        except ValueError:  # brackets around what is no address
            return None
        if parts.scheme != "file" or parts.netloc:
            return None
        found = Path(unquote(parts.path))
    return None if found.name in {"", ".."} else found  # no folder of one run


def _files(folder: Path) -> Iterator[tuple[str, Path]]:
    """Go through the plain files of a folder, and where each lies."""
    for place, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            path = Path(place) / name
            if path.is_file() and not path.is_symlink():
                yield path.relative_to(folder).as_posix(), path


def _register(
    ledger: Ledger, found: Sequence[Registered], complaints: list[str]
) -> int:  # fmt: skip
    """Take registered models with their numbers; return how many versions are new."""
    count = 0
    for model in found:
        try:
            model_names.check_model(model.name, with_at=True)
            with ledger.write() as connection:
                count += _put_model(connection, model)
        except Error as error:
            complaints.append(f"the model {model.name!r} is left out: {error.what}")
    return count


def _put_model(connection: Connection, model: Registered) -> int:
    version = tables.version
    query = version.select().where(version.c.model == model.name)
    there = {row.number: row for row in connection.execute(query)}
    for one in model.versions:
        known = there.get(one.number)
        if known is not None and (known.source, known.created) != (one.source, one.created):
            raise Error(
                f"its version {one.number} is another one here; "
                "numbers are never given twice, so that both cannot be had under one name"
            )
    new = [one for one in model.versions if one.number not in there]
    row = {"name": model.name, "created": model.created, "updated": model.updated}
    is_new = rows.add(connection, tables.model, row | {"description": model.description})
    for key, value in model.tags.items():
        rows.add(connection, tables.model_tag, {"model": model.name, "key": key, "value": value})
    for one in new:
        _put_version(connection, model.name, one)
    numbers = {one.number for one in model.versions}
    for alias, number in model.aliases.items():
        if number in numbers and (is_new or number not in there):
            named = {"model": model.name, "name": alias, "version": number}
            rows.add(connection, tables.alias, named | {"at": model.updated})
    return len(new)


def _put_version(connection: Connection, model: str, one: RegisteredVersion) -> None:
    from sqlalchemy import select

    run = tables.run
    query = select(run.c.experiment_id).where(run.c.id == (one.run_id or ""))
    experiment = connection.execute(query).scalar()
    is_here = experiment is not None
    connection.execute(tables.version.insert().values(
        model=model, number=one.number, source=one.source,
        run_id=one.run_id if is_here else None,
        foreign_run=None if is_here else one.run_id,
        description=one.description, status=one.status, status_message=one.status_message,
        created=one.created, updated=one.updated, owner=one.owner, stage=one.stage,
        run_link=one.run_link, model_id=one.model_id,
        artifact_uri=_files_of(one, experiment) if experiment is not None else None,
    ))  # fmt: skip
    owner = {"model": model, "version": one.number}
    rows.put_tags(connection, tables.version_tag, owner, one.tags)
    if is_here:
        edge = lineage.Edge(
            source=f"run:{one.run_id}", relation="registered_as",
            target=f"version:{model}/{one.number}", at=one.created,
        )  # fmt: skip
        lineage.add(connection, [edge])


def _files_of(one: RegisteredVersion, experiment: int) -> str | None:
    """Return where the files of a version are here, if they came as artifacts of its run.

    Before MLflow 3 the source of a version was a folder among the artifacts of its run.
    """
    if one.model_id is not None or one.source is None or one.run_id is None:
        return None
    _, among, rest = one.source.partition(f"/{one.run_id}/artifacts/")
    if not among:
        run, _, rest = one.source.removeprefix("runs:/").partition("/")
        if not one.source.startswith("runs:/") or run != one.run_id:
            return None
    return f"{places.run_uri(experiment, one.run_id)}/{rest}"
