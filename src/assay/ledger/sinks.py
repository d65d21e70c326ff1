"""Where batches are written: a ledger of this machine or of a database server, or a hub.

A sink writes one batch, or raises: `Unavailable` where the same batch can be written later,
`Unfit` where that batch never can, any other error where somebody has to do something first. It
is used by one thread at a time.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from assay.base.clock import now_ms
from assay.base.errors import Error, NotFound
from assay.ledger import operations
from assay.ledger.operations import Batch, Refusal

if TYPE_CHECKING:
    from assay.ledger.database import Ledger
    from assay.ledger.resumed import Known
    from assay.ledger.writer import Artifact
    from assay.objects.cache import Cache


_BUSY = 2000  # milliseconds


class Unavailable(Error):
    """What is written to is away, locked, full or gone: the same may be written later."""


class Unfit(Error):
    """A batch that is not taken as it is, neither now nor later; a part of it may be."""


class TooLarge(Unfit):
    """A batch of more bytes than are taken at once."""


class Sink(Protocol):
    """Where batches are written."""

    name: str
    """What people are shown, without a password."""

    def send(self, batch: Batch) -> list[Refusal]:
        """Write a batch; return which of its operations are refused for good."""

    def find(self, run: str) -> Known:
        """Return what is known of a run."""

    def artifacts(self, run: str, path: str) -> list[Artifact]:
        """Return the file of a run at a path, or all files of the folder there."""

    def fetch(self, oid: str, objects: Cache) -> None:
        """Bring an object into a store of this machine."""

    def rest(self) -> None:
        """Let go of what can be had again: nothing is sent for a while."""

    def after_fork(self) -> None:
        """Leave to the parent process what is its own: this one was forked from it."""


def is_hub(where: str) -> bool:
    """Tell whether a place is the address of a hub.

    Examples
    --------
    >>> is_hub("http://127.0.0.1:5000"), is_hub("postgresql://host/assay"), is_hub("ledger.db")
    (True, False, False)
    """
    return where.startswith(("http://", "https://"))


def sink_of(where: str, *, objects: Cache | None = None, token: str | None = None) -> Sink:
    """Return the sink of a path or a URL; `objects` is where files of runs lie here."""
    if is_hub(where):
        from assay.ledger.hub import HubSink

        return HubSink(where, objects=objects, token=token)
    return LedgerSink(where)


class LedgerSink:
    """A ledger that this process opens by itself, and makes where there is none.

    One whose file goes away in the midst is not made anew before `rest`: it may come back.
    """

    def __init__(self, where: str) -> None:
        self._where = where
        self._ledger: Ledger | None = None
        self._inode: int | None = None  # of the file that was written to, where it is one
        self.name = where if "://" not in where else _shown(where)

    def send(self, batch: Batch) -> list[Refusal]:
        """Write a batch in one transaction."""
        with self._asked_again(), self._opened().write() as connection:
            self._tell_of_another_file()
            return operations.apply(connection, batch, at=now_ms())

    def find(self, run: str) -> Known:
        """Return what is known of a run."""
        from assay.ledger import resumed

        with self._asked_again(), self._opened(create=False).read() as connection:
            return resumed.known(connection, run, at=now_ms())

    def artifacts(self, run: str, path: str) -> list[Artifact]:
        """Return the file of a run at a path, or all files of the folder there."""
        from assay.ledger import resumed

        with self._asked_again(), self._opened(create=False).read() as connection:
            return resumed.artifacts(connection, run, path)

    def fetch(self, oid: str, objects: Cache) -> None:
        """Say that an object is missing: a ledger holds none."""
        raise objects.missing(oid)

    def rest(self) -> None:
        """Close the ledger, and forget that there was one."""
        ledger, self._ledger = self._ledger, None
        if ledger is not None:
            ledger.close()

    def after_fork(self) -> None:
        """Go on with the ledger, which sees to forks by itself."""

    def _opened(self, *, create: bool = True) -> Ledger:
        """Return the ledger, which refuses to be written to where its file is gone."""
        from assay.ledger.database import open_ledger

        if self._ledger is None:
            opened = open_ledger(self._where, create=create)
            if opened.is_sqlite:
                self._where = opened.where  # the script may go to another folder
                _be_impatient(opened)
            self._ledger, self._inode = opened, opened.inode
        return self._ledger

    def _tell_of_another_file(self) -> None:
        if self._ledger is not None and self._ledger.inode != self._inode:
            self._inode = self._ledger.inode
            sys.stderr.write(
                f"assay: {self.name} is another file now; what this process recorded in the "
                "earlier one is not in it, unless it is a copy\n"
            )

    @contextlib.contextmanager
    def _asked_again(self) -> Iterator[None]:
        """Say of an error whether the same may be done later."""
        try:
            yield
        except NotFound:
            raise
        except Unavailable as error:
            if type(error) is Unavailable:  # neither `Away` nor `Full`
                hint = "put it back"
                raise Unavailable("the ledger is gone", where=self.name, hint=hint) from error
            raise
        except (ValueError, OverflowError) as error:  # of the driver: it is what the batch holds
            raise Unfit(f"this cannot be recorded: {error}") from error
        except Error as error:
            if _is_passing(error.__cause__ or error.__context__):
                raise Unavailable(error.what, where=error.where, hint=error.hint) from error
            raise


def _is_passing(cause: BaseException | None) -> bool:
    """Tell whether it may be better later; of a database that is away or full that is known."""
    from sqlalchemy.exc import DBAPIError

    if isinstance(cause, DBAPIError):
        return "malformed" in str(cause.orig)  # until the file is mended
    return isinstance(cause, OSError) and not isinstance(
        cause, (PermissionError, IsADirectoryError)
    )


def _be_impatient(ledger: Ledger) -> None:
    """Let a ledger that another process holds be `Unavailable` soon: a fork may wait for us."""
    from sqlalchemy import event

    @event.listens_for(ledger.engine, "connect")
    def configure(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA busy_timeout = {_BUSY}")

    ledger.engine.dispose()


def _shown(url: str) -> str:
    """Return a URL without user, password and query."""
    from urllib.parse import urlsplit

    parts = urlsplit(url)
    host = parts.hostname or ""
    return f"{parts.scheme}://{host}{f':{parts.port}' if parts.port else ''}{parts.path}"
