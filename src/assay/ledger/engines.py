"""The engine below a ledger: how its connections are opened, and how their transactions begin."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

from assay.base.errors import Error

if TYPE_CHECKING:
    from sqlalchemy import URL, Connection, Engine
    from sqlalchemy.engine import ExceptionContext

BUSY_TIMEOUT = 60.0
"""Seconds that a process waits for another one's transaction."""
_CONNECT_TIMEOUT = 10  # seconds
_ALONE = (  # one text, sent at once; the number is "assay", as the migrations lock it
    "SET LOCAL lock_timeout = {:.0f}; "
    "SET LOCAL idle_in_transaction_session_timeout = 300000; "  # of a writer that is cut off
    "SELECT pg_advisory_xact_lock(418548769145)"
)
_LIMIT = "54"  # the class of SQLSTATE for what is longer or deeper than the server takes


def make(url: URL) -> Engine:
    """Return the engine of a database."""
    if url.get_backend_name() == "sqlite":
        return _of_file(Path(url.database or "").absolute())
    return _of_server(url)


def _of_server(url: URL) -> Engine:
    from sqlalchemy import create_engine, event

    # a host that drops packets would hold its threads for minutes
    waits = {"connect_timeout": url.query.get("connect_timeout", _CONNECT_TIMEOUT)}
    engine = create_engine(url, pool_pre_ping=True, connect_args=waits)

    @event.listens_for(engine, "begin")
    def wait(connection: Connection) -> None:
        options = connection.get_execution_options()
        if options.get("writes"):
            seconds = options.get("patience", BUSY_TIMEOUT)
            connection.exec_driver_sql(_ALONE.format(seconds * 1000))

    event.listen(engine, "handle_error", _as_data_error)
    return engine


def _as_data_error(context: ExceptionContext) -> BaseException | None:
    """Return an error of what was to be written where psycopg takes it for one of the server.

    A key or a path that is too long for an index will not fit later either.
    """
    from sqlalchemy.exc import DataError

    cause = context.original_exception
    if str(getattr(cause, "sqlstate", None)).startswith(_LIMIT):
        return DataError(context.statement, None, cause)
    return None


def _mode(path: Path) -> str:
    """Return how SQLite opens a file: to be written to, wherever its folder can be.

    In a folder that cannot, such as that of a snapshot, it is read. Its log, the file that ends in
    ``-wal``, is read with it where the index of that, ``-shm``, is there, too. Without a log
    nobody writes at this moment, and all is in the file itself.

    Raises
    ------
    Error
        If there is a log that cannot be read: the file alone is not what was recorded last.
    """
    folder = path.parent
    if os.access(folder, os.W_OK) or not os.access(path, os.R_OK):
        return "mode=rw"  # what is wrong with a file that cannot be read is SQLite's to say
    log, index = (path.with_name(f"{path.name}{suffix}") for suffix in ("-wal", "-shm"))
    if log.exists() and index.exists():
        return (
            "mode=rw" if all(os.access(one, os.W_OK) for one in (path, log, index)) else "mode=ro"
        )
    if log.exists() and log.stat().st_size:
        raise Error(
            f"the log beside it, {log.name!r}, cannot be read without writing to this folder, and "
            "it holds what was recorded last",
            where=path,
            hint="copy the folder to where you may write, with all files of this name, and look "
            "there with '--directory'",
        )
    return "mode=ro&immutable=1"


def _of_file(path: Path) -> Engine:
    import sqlite3

    from sqlalchemy import create_engine, event
    from sqlalchemy.exc import OperationalError

    class Still(sqlite3.Connection):
        """A connection that takes its file for one that nobody changes."""

    def connect() -> sqlite3.Connection:  # never makes a file: an empty one would cost an old log
        mode = _mode(path)
        return sqlite3.connect(
            f"{path.as_uri()}?{mode}",
            uri=True,
            factory=Still if "immutable" in mode else sqlite3.Connection,
            timeout=BUSY_TIMEOUT,
            isolation_level=None,
            check_same_thread=False,
        )

    engine = create_engine("sqlite:///file", creator=connect)

    @event.listens_for(engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.execute("PRAGMA foreign_keys = on")
        connection.execute("PRAGMA synchronous = normal")  # safe in WAL mode

    @event.listens_for(engine, "checkin")
    def leave(connection: Any, record: Any) -> None:  # its owner may write before the next one
        if isinstance(connection, Still):
            record.invalidate()

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        options = connection.get_execution_options()
        words = "BEGIN IMMEDIATE" if options.get("writes") else "BEGIN"
        try:  # as the driver has it: with each transaction
            connection.connection.execute(words)
        except sqlite3.Error as error:
            raise OperationalError(words, None, error) from error

    return engine
