"""Files that runs and logged models keep: where a path of the hub leads, lists, and changes.

The hub knows one tree of paths, as MLflow's clients do: `EXPERIMENT/RUN/artifacts/…` for a run,
`EXPERIMENT/models/MODEL/artifacts/…` for a logged model, or whatever the root says that was
recorded for it. The bytes lie in the object store; a folder is there as long as a file in it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import unquote

import msgspec

from assay.base.errors import Error, NotFound, Taken

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Row, Table

    from assay.objects.cache import Stored

SCHEME = "mlflow-artifacts:/"
"""How the URI of a root begins that the hub keeps."""

_IS_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_PROXY = re.compile(r"https?://.*?/mlflow-artifacts/artifacts/(.*)")


class Unowned(Error):
    """No run and no logged model keeps its files at a path."""


class Owner(msgspec.Struct, frozen=True, kw_only=True):
    """The run or logged model that keeps files."""

    kind: Literal["run", "model"]
    id: str
    uri: str  # of its root
    experiment_id: int
    deleted: bool

    @property
    def root(self) -> str | None:
        """Its path in the tree of the hub; None where its files are kept elsewhere."""
        return root_of(self.uri)


class Place(msgspec.Struct, frozen=True, kw_only=True):
    """What a path of the hub names: a file or folder, below an owner's root."""

    owner: Owner
    path: str  # "" is the root itself


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """A file that is kept."""

    path: str
    oid: str  # "sha256:…"
    size: int
    at: int


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """A file or folder in a list; its path is relative to the owner's root."""

    path: str
    size: int | None  # None for a folder

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder."""
        return self.size is None

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition("/")[2]


def run_uri(experiment_id: int, run: str, *, location: str | None = None) -> str:
    """Return the URI of a run's root, where its experiment keeps artifacts in `location`.

    Examples
    --------
    >>> run_uri(3, "5e"), run_uri(3, "5e", location="s3://bucket/a/?x=1")
    ('mlflow-artifacts:/3/5e/artifacts', 's3://bucket/a/5e/artifacts?x=1')
    """
    return _below(location, experiment_id, f"{run}/artifacts")


def model_uri(experiment_id: int, model: str, *, location: str | None = None) -> str:
    """Return the URI of a logged model's root.

    Examples
    --------
    >>> model_uri(3, "m-5e")
    'mlflow-artifacts:/3/models/m-5e/artifacts'
    """
    return _below(location, experiment_id, f"models/{model}/artifacts")


def _below(location: str | None, experiment_id: int, path: str) -> str:
    """Return the URI of a path below a location; what looks like a query stays at its end."""
    if location is None:
        return f"{SCHEME}{experiment_id}/{path}"
    if not _IS_URI.match(location):
        return f"{location.rstrip('/')}/{path}"
    base, _, query = location.partition("?")
    return f"{base.rstrip('/')}/{path}" + (f"?{query}" if query else "")


def root_of(uri: str) -> str | None:
    """Return the path in the tree of the hub where the files below a URI arrive.

    MLflow's clients leave out empty parts and the query, and encode nothing.

    Examples
    --------
    >>> root_of("mlflow-artifacts:/a//b/./c%20d/5e/artifacts?x=1")
    'a/b/c d/5e/artifacts'
    """
    path = path_of(uri.partition("?")[0])
    return None if path is None else _tidied(unquote(path))


def _tidied(path: str) -> str:
    return "/".join(part for part in path.split("/") if part not in {"", "."})


def path_of(uri: str) -> str | None:
    """Return the path in the tree of the hub that a URI names; None for another place.

    Examples
    --------
    >>> path_of("mlflow-artifacts:/3/5e/artifacts"), path_of("mlflow-artifacts://host:80/3/5e")
    ('3/5e/artifacts', '3/5e')
    >>> path_of("s3://bucket/5e") is None
    True
    """
    if match := _PROXY.fullmatch(uri):
        return match[1].strip("/")
    scheme, colon, rest = uri.partition(":")
    if not colon or scheme.lower() != "mlflow-artifacts":
        return None
    if rest.startswith("//"):
        rest = rest[2:].partition("/")[2]
    return rest.strip("/")


def of_run(connection: Connection, run: str) -> Owner:
    """Return a run as an owner, a deleted one too."""
    found = _run(connection, run)
    if found is None:
        raise NotFound(f"Run with id={run} not found")
    return found


def of_model(connection: Connection, model: str) -> Owner:
    """Return a logged model as an owner, a deleted one too."""
    found = _model(connection, model)
    if found is None:
        raise NotFound(f"Logged model with ID '{model}' not found.")
    return found


def find(connection: Connection, path: str) -> Place:
    """Return what a path of the hub names; whether there is a file is not looked at.

    Raises
    ------
    Unowned
        If no run or logged model keeps its files there.
    """
    parts = path.split("/")
    for number, part in enumerate(parts[1:], 1):
        if part == "artifacts":
            name, root = parts[number - 1], "/".join(parts[: number + 1])
            looks = (_model, _run) if name.startswith("m-") else (_run, _model)
            for look in looks:
                owner = look(connection, name)
                if owner is not None and owner.root in {root, _tidied(unquote(root))}:
                    return Place(owner=owner, path="/".join(parts[number + 1 :]))
    shown = path if len(path) <= 200 else f"{path[:200]}..."
    raise Unowned(
        f"no run and no logged model keeps its files at {shown!r}",
        hint="a path is EXPERIMENT/RUN/artifacts/FILE or EXPERIMENT/models/MODEL/artifacts/FILE, "
        "with ids",
    )


def get(connection: Connection, owner: Owner, path: str) -> Kept | None:
    """Return the file at a path; None where there is none, or a folder."""
    table, own = _of(owner)
    query = table.select().where(own, table.c.path == path)
    row = connection.execute(query).one_or_none()
    return None if row is None else _kept(row)


def is_folder(connection: Connection, owner: Owner, path: str) -> bool:
    """Tell whether files lie below a path; the root is a folder always."""
    table, own = _of(owner)
    query = table.select().where(own, below(connection, table, path)).limit(1)
    return not path or connection.execute(query).first() is not None


def below(connection: Connection, table: Table, folder: str) -> ColumnElement[bool]:
    """Return the condition that a path lies below a folder."""
    if connection.dialect.name == "sqlite":  # its LIKE takes A for a; "0" comes next after "/"
        return (table.c.path >= f"{folder}/") & (table.c.path < f"{folder}0")
    return table.c.path.startswith(f"{folder}/", autoescape=True)


def list_(connection: Connection, owner: Owner, folder: str = "") -> list[Entry]:
    """Return what lies in a folder, by name; nothing for a file or what is not there."""
    from sqlalchemy import select

    table, own = _of(owner)
    query = select(table.c.path, table.c.size).where(own)
    if folder:
        query = query.where(below(connection, table, folder))
    start = len(folder) + 1 if folder else 0
    found: dict[str, Entry] = {}
    for path, size in connection.execute(query):
        end = path.find("/", start)
        one = Entry(path=path, size=size) if end < 0 else Entry(path=path[:end], size=None)
        found[one.path] = one
    return [found[path] for path in sorted(found)]


def check(owner: Owner) -> None:
    """Refuse to write to what is deleted."""
    if owner.deleted and owner.kind == "run":
        raise Error(f"The run {owner.id} must be in the 'active' state. Current state is deleted.")
    if owner.deleted:
        raise NotFound(f"Logged model with ID '{owner.id}' not found.")


def put(
    connection: Connection, place: Place, stored: Stored, *, at: int, replace: bool = True
) -> None:
    """Record a file; one at its path is replaced.

    Parameters
    ----------
    replace : bool
        Whether other bytes at this path are replaced; if not, they are an error.

    Raises
    ------
    Error
        If a folder is at its path, or a file where its folder would be.
    """
    from assay.ledger import rows

    owner, path = place.owner, place.path
    check(_claimed(connection, owner, at=at))
    table, _ = _of(owner)
    _need_room(connection, owner, path)
    row = {"path": path, "oid": f"sha256:{stored.oid}", "size": stored.size, "at": at}
    if not replace:
        there = get(connection, owner, path)
        if there is not None and there.oid != row["oid"]:
            raise Taken(f"There is a file {path!r} with other bytes")
    column = "run_id" if owner.kind == "run" else "model_id"
    rows.put(connection, table, [{column: owner.id, **row}])


def delete(connection: Connection, place: Place, *, at: int) -> int:
    """Forget a file, or all files of a folder; return how many there were."""
    owner, path = place.owner, place.path
    _claimed(connection, owner, at=at)
    table, own = _of(owner)
    query = table.delete().where(own)
    if path:
        query = query.where((table.c.path == path) | below(connection, table, path))
    kept = query.execution_options(preserve_rowcount=True)
    return connection.execute(kept).rowcount


def _need_room(connection: Connection, owner: Owner, path: str) -> None:
    from sqlalchemy import select

    table, own = _of(owner)
    folders = list(_folders(path))
    if folders:
        query = select(table.c.path).where(own, table.c.path.in_(folders))
        file = connection.execute(query).scalar()
        if file is not None:
            raise Error(f"{file!r} is a file; {path!r} cannot be a file in it")
    if is_folder(connection, owner, path):
        raise Error(f"{path!r} is a folder; it cannot be a file as well")


def _folders(path: str) -> Iterable[str]:
    """Go through the folders that a path goes through.

    Examples
    --------
    >>> list(_folders("a/b/c"))
    ['a', 'a/b']
    """
    parts = path.split("/")
    return ("/".join(parts[:number]) for number in range(1, len(parts)))


def _of(owner: Owner) -> tuple[Table, ColumnElement[bool]]:
    """Return the table of an owner's files, and the condition that a row is the owner's."""
    from assay.ledger.tables import artifact, logged_model_artifact

    if owner.kind == "run":
        return artifact, artifact.c.run_id == owner.id
    return logged_model_artifact, logged_model_artifact.c.model_id == owner.id


def _claimed(connection: Connection, owner: Owner, *, at: int) -> Owner:
    """Return the owner as it is now; the record of its run changes with this transaction."""
    from assay.ledger import logged, rows

    if owner.kind == "run":
        rows.claim_run(connection, owner.id)
        return of_run(connection, owner.id)
    logged.touch(connection, [owner.id], at=at)
    return of_model(connection, owner.id)


def _run(connection: Connection, id_: str) -> Owner | None:
    from sqlalchemy import select

    from assay.ledger.tables import run

    query = select(run.c.experiment_id, run.c.artifact_uri, run.c.deleted).where(run.c.id == id_)
    return _owner("run", id_, connection.execute(query).one_or_none())


def _model(connection: Connection, id_: str) -> Owner | None:
    from sqlalchemy import select

    from assay.ledger.tables import logged_model as model

    columns = (model.c.experiment_id, model.c.artifact_uri, model.c.deleted)
    query = select(*columns).where(model.c.id == id_)
    return _owner("model", id_, connection.execute(query).one_or_none())


def _owner(
    kind: Literal["run", "model"], id_: str, row: Row[Any, Any, Any] | None
) -> Owner | None:
    if row is None:
        return None
    default = run_uri if kind == "run" else model_uri
    return Owner(
        kind=kind,
        id=id_,
        uri=row.artifact_uri or default(row.experiment_id, id_),
        experiment_id=row.experiment_id,
        deleted=row.deleted is not None,
    )


def _kept(row: Row[Any]) -> Kept:
    return Kept(path=row.path, oid=row.oid, size=row.size, at=row.at)
