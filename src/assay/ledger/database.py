"""Open a ledger: an SQLite file of one project, or a PostgreSQL database of a team.

An up-to-date ledger is recognised by one select; only a missing or an older one costs the import
of Alembic (`upgrade`). A new SQLite ledger is made beside its place and linked into it, so that
nobody ever sees half of one. Reading is `with ledger.read() as connection`, writing is
`with ledger.write() as connection`: one short transaction, which takes the writer's lock at its
beginning, so that what it read stays true until it ends: SQLite's own, and in PostgreSQL an
advisory one of the database, without which writers of several rows would wait for each other.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.util
import os
import stat
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Self, cast

from assay.base import settings
from assay.base.errors import Error, NotFound
from assay.base.files import explain, temporary_beside
from assay.ledger import engines

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection
    from sqlalchemy.exc import SQLAlchemyError

    from assay.ledger.sinks import Unavailable

_ONE_STATE = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}


class Ledger:
    """An open ledger. Close it, or use it in a `with`; it may be shared by threads and forked.

    Attributes
    ----------
    where : str
        What another process opens it by, wherever that runs; a URL may hold a password.
    name : str
        What people are shown.
    """

    def __init__(self, url: URL) -> None:
        self.engine = engines.make(url)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._reading = (
            self.engine if self.is_sqlite else self.engine.execution_options(**_ONE_STATE)
        )
        path = url.database or ""
        self.where = path if self.is_sqlite else url.render_as_string(hide_password=False)
        self.name = path if self.is_sqlite else _shown(url)
        self._password = str(url.password or "")
        self._lock = threading.RLock()
        self._whole: Connection | None = None
        self.inode: int | None = None  # of the file that the connections are to
        _open_ledgers.add(self)

    @contextlib.contextmanager
    def read(self) -> Iterator[Connection]:
        """Give a connection whose reads all see one state."""
        with self._explained():
            self._look()
            with self._reading.connect() as connection:
                yield connection

    def _look(self) -> None:
        """Leave connections to a file that was replaced; refuse one that is gone."""
        if not self.is_sqlite:
            return
        try:
            inode = os.stat(self.where).st_ino  # noqa: PTH116 -- with each transaction
        except FileNotFoundError:
            self.engine.dispose()
            raise gone(self.name) from None
        except OSError as error:
            raise explain(error, self.where) from error
        before, self.inode = self.inode, inode
        if before not in {None, inode}:
            self.engine.dispose()
            try:
                _bring_up_to_date(self, create=False)
            except BaseException:
                self.inode = -1  # the next one looks at it again
                raise

    @contextlib.contextmanager
    def write(self) -> Iterator[Connection]:
        """Give a connection in a transaction that is kept as a whole or not at all."""
        with self._explained(), self._lock:
            if self._whole is not None:
                yield self._whole
                return
            self._look()
            with self.engine.connect() as connection:
                connection.execution_options(writes=True)
                with connection.begin():
                    yield connection

    @contextlib.contextmanager
    def alone(self) -> Iterator[None]:
        """Keep the writers of other threads out; for one that has a connection of its own."""
        with self._lock:
            yield

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """Keep all that this thread writes in the block as a whole, or nothing of it."""
        with self._lock, self.write() as connection:
            before, self._whole = self._whole, connection
            try:
                yield
            finally:
                self._whole = before

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        from sqlalchemy.exc import SQLAlchemyError

        try:
            yield
        except SQLAlchemyError as error:
            raise self.explain(error) from None
        except (UnicodeEncodeError, OverflowError) as error:
            raise Error(f"this cannot be recorded: {error}", where=self.name) from error

    def explain(self, error: SQLAlchemyError) -> Error:
        """Turn what the database says into an error with the next step.

        It is `Away` where the database failed, not what was asked of it, or `Full`.
        """
        from assay.ledger.committer import kind_of

        message = str(getattr(error, "orig", None) or error).strip().splitlines()[0]
        if "no such savepoint" in message:  # all was undone for another reason
            before = error.__context__
            while before is not None and not hasattr(before, "orig"):
                before = before.__context__
            if before is not None:
                return self.explain(cast("SQLAlchemyError", before))
        if self._password:
            message = message.replace(self._password, "***")
        if message == "file is not a database":
            return _no_ledger(self.name)
        if self.is_sqlite and "unable to open" in message and not os.path.lexists(self.where):
            return gone(self.name)
        near = (hint for part, hint in _HINTS.items() if part in message.lower())
        kind = kind_of(error, message)
        return kind(f"the ledger says: {message}", where=self.name, hint=next(near, None))

    def close(self) -> None:
        """Give all connections back."""
        self.engine.dispose()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def gone(name: str) -> Unavailable:
    """Return the error of a file that was there; it may come back."""
    from assay.ledger.sinks import Unavailable

    return Unavailable(
        "the ledger's file is gone",
        where=name,
        hint="put it back, with the files of its name that end in -wal and -shm; or begin again "
        "for an empty one",
    )


_HINTS = {
    "lock timeout": "another process writes to it for a long time; run the command again",
    "locked": "another process writes to it for a long time; run the command again",
    "readonly": "check the permissions of the file and of its folder, which are both written to",
    "unable to open": "check the permissions of the file and of its folder, which are written to",
    "disk is full": "free some space, then run the command again: what is recorded stays recorded",
    "malformed": "restore the file from a backup, or 'sqlite3 FILE .recover' what is left of it",
    "password authentication": "check the user and the password in the ledger's URL",
    "connection refused": "check the host and the port in the ledger's URL",
    "could not translate host": "check the host in the ledger's URL",
    'fatal:  database "': "check the name in the ledger's URL, or make it: 'createdb NAME'",
    'fatal:  role "': "check the user in the ledger's URL, or make it: 'createuser NAME'",
}


def open_ledger(where: Path | str, *, create: bool = True) -> Ledger:
    """Open the ledger at a path or URL, made or brought up to date where that is needed.

    Parameters
    ----------
    where : Path or str
        A file, or a URL such as ``postgresql+psycopg://user@host/assay``.
    create : bool
        Whether a missing ledger is made; otherwise it is an error.

    Raises
    ------
    assay.Error
        If it is no ledger, was written by a newer Assay, or cannot be read and written. It is
        unchanged then. `NotFound` where it is missing and `create` is false.
    """
    url = _url(where)
    if url.get_backend_name() == "sqlite":
        path = Path(url.database or "")
        if _is_missing(path):
            if not create:
                raise NotFound(
                    "there is no ledger",
                    where=path,
                    hint="it is made with the first run: 'assay repro', or 'with assay.run():'",
                )
            _create_file(path)
    ledger = Ledger(url)
    try:
        _bring_up_to_date(ledger, create=create)
    except BaseException:
        ledger.close()
        raise
    return ledger


def _url(where: Path | str) -> URL:
    from sqlalchemy import URL, make_url
    from sqlalchemy.exc import ArgumentError

    if isinstance(where, Path) or "://" not in where:
        if isinstance(where, str) and not os.path.exists(where):  # noqa: PTH110 -- it is a text
            settings.check_address("ASSAY_LEDGER", where)  # other places were looked at before
        return URL.create("sqlite", database=str(Path(where).absolute()))
    try:
        url = make_url(where)
    except (ArgumentError, ValueError):
        raise Error(
            "the ledger's URL cannot be read",
            hint="write it as postgresql+psycopg://USER@HOST:PORT/DATABASE",
        ) from None
    if url.get_backend_name() == "sqlite" and url.database:
        return URL.create("sqlite", database=str(Path(url.database).absolute()))
    if url.get_backend_name() != "postgresql":
        raise Error(
            f"a ledger is an SQLite file or a PostgreSQL database, not {url.drivername!r}",
            where=_shown(url),
            hint="give a path, or a URL such as postgresql+psycopg://USER@HOST/DATABASE",
        )
    if importlib.util.find_spec("psycopg") is None:
        raise Error(
            "PostgreSQL needs an extra that is not installed",
            where=_shown(url),
            hint="pip install 'assay[postgres]'",
        )
    return url.set(drivername="postgresql+psycopg")


def _shown(url: URL) -> str:
    """Return a URL for people: no user, no password, no query."""
    from sqlalchemy import URL

    return URL.create(
        url.drivername, host=url.host, port=url.port, database=url.database
    ).render_as_string()


def _is_missing(path: Path) -> bool:
    """Tell whether there is no file, without opening it; raise where there is a folder.

    This process may have it open by SQLite, whose locks POSIX takes away as soon as the process
    closes the same file by any other way: another process would then remove the log that this
    one writes to, and the ledger would be damaged.
    """
    try:
        is_folder = stat.S_ISDIR(path.stat().st_mode)
    except FileNotFoundError:
        return True
    except OSError as error:
        raise explain(error, path) from error
    if is_folder:
        raise explain(IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR)), path)
    return False


def _no_ledger(where: Path | str) -> Error:
    return Error(
        "this is not a ledger of Assay",
        where=where,
        hint="it was left as it is; move it away, or name another ledger",
    )


def _create_file(path: Path) -> None:
    """Make a complete ledger beside `path` and put it there, unless somebody else was faster."""
    from sqlalchemy import URL

    temporary = temporary_beside(path)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.touch(exist_ok=False)
        with Ledger(URL.create("sqlite", database=str(temporary))) as new:
            new.name = str(path)
            _upgrade(new)
        _link(temporary, path)
    except OSError as error:
        raise explain(error, path) from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{temporary}{suffix}").unlink(missing_ok=True)


def _link(temporary: Path, path: Path) -> None:
    with contextlib.suppress(FileExistsError):
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if not path.exists():
                temporary.replace(path)


def _bring_up_to_date(ledger: Ledger, *, create: bool) -> None:
    from assay.ledger.tables import REVISION

    revision = _revision(ledger)
    if revision == REVISION:
        return
    if revision is None and not create:
        raise NotFound(
            "there is no ledger in this database",
            where=ledger.name,
            hint="it is made by the first command that records something",
        )
    if revision is not None and not revision.isdigit():  # Alembic's, but of another program
        raise _no_ledger(ledger.name)
    if revision is not None and revision > REVISION:
        raise Error(
            f"the ledger was written by a newer Assay (revision {revision!r}, known is up to "
            f"{REVISION!r})",
            where=ledger.name,
            hint="pip install --upgrade assay; the ledger was left as it is",
        )
    _upgrade(ledger)


def _revision(ledger: Ledger) -> str | None:
    """Return the revision that the ledger is at, or None for an empty database."""
    from sqlalchemy import inspect, text
    from sqlalchemy.exc import DatabaseError

    with ledger.read() as connection:
        try:
            found = connection.execute(text("SELECT version_num FROM alembic_version")).scalar()
        except DatabaseError as error:
            connection.rollback()
            try:
                is_empty = not inspect(connection).get_table_names()
            except DatabaseError:
                raise ledger.explain(error) from None
            if not is_empty:
                raise _no_ledger(ledger.name) from None
            return None
    return None if found is None else str(found)


def _upgrade(ledger: Ledger) -> None:
    """Run the migrations in one transaction; of several processes the first one does it."""
    from assay.ledger.migrations import upgrade

    with ledger._explained():  # noqa: SLF001 -- of this file
        if ledger.is_sqlite:  # readers and one writer at a time, without waiting for each other
            with contextlib.closing(ledger.engine.raw_connection()) as connection:
                connection.cursor().execute("PRAGMA journal_mode = wal")
        upgrade(ledger.engine)


_open_ledgers: weakref.WeakSet[Ledger] = weakref.WeakSet()


def _before_fork() -> None:
    """Leave no connection open that parent and child would share: SQLite forbids that."""
    for ledger in list(_open_ledgers):
        ledger._lock.acquire()  # noqa: SLF001 -- of this file
        ledger.engine.dispose()


def _after_fork_in_parent() -> None:
    for ledger in list(_open_ledgers):
        with contextlib.suppress(RuntimeError):  # opened by another thread since
            ledger._lock.release()  # noqa: SLF001 -- of this file


def _after_fork_in_child() -> None:
    for ledger in list(_open_ledgers):
        ledger._lock = threading.RLock()  # noqa: SLF001 -- of this file
        ledger._whole = None  # noqa: SLF001 -- a transaction of the parent


os.register_at_fork(
    before=_before_fork,
    after_in_parent=_after_fork_in_parent,
    after_in_child=_after_fork_in_child,
)
