"""A real PostgreSQL for tests: Debian's, in a temporary folder, as a user who is not root.

It listens on a socket and on a loopback port, never syncs, and ends with the process that started
it, however that ends. A test gets a database of its own: a copy of one that holds an empty ledger.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pwd
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from assay.ledger.database import open_ledger
from tests.objects.remotes.servers import free_port

if TYPE_CHECKING:
    import psycopg

ON_CI = os.environ.get("CI") == "true"
KINDS = ("sqlite", "postgresql")
"""What a ledger may lie in: the parameters of a fixture."""
SLOW_IN_POSTGRESQL = pytest.mark.parametrize(
    "recorded", ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)], indirect=True
)
IN_A_FILE = pytest.mark.parametrize("recorded", ["sqlite"], indirect=True)
"""Of a test that is about the file itself."""

_OPTIONS = {
    "fsync": "off", "full_page_writes": "off", "synchronous_commit": "off", "autovacuum": "off",
    "shared_buffers": "32MB", "max_connections": "200", "wal_level": "minimal",
    "max_wal_senders": "0", "listen_addresses": "127.0.0.1", "log_min_messages": "warning",
}  # fmt: skip
_CLEAR = b"""
    SET session_replication_role = replica;  -- in no order
    DO $$ DECLARE name text; BEGIN
        FOR name IN SELECT tablename FROM pg_tables
            WHERE schemaname = 'public' AND tablename <> 'alembic_version'
        LOOP EXECUTE format('DELETE FROM %I', name); END LOOP;
        INSERT INTO experiment (id, name, created, updated) VALUES (0, 'default', 0, 0);
    END $$
"""
_WHILE_WE_LIVE = '"$@" & pid=$!; cat > /dev/null; kill -QUIT $pid; wait $pid'  # our end of stdin


def _programs() -> Path | None:
    """Return the folder of PostgreSQL's programs, the newest."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=_release)
    if found:
        return found[-1].parent
    on_path = shutil.which("initdb")
    return Path(on_path).resolve().parent if on_path else None


def _release(program: Path) -> float:
    return float(program.parent.parent.name)


def _release_of(programs: Path) -> int:
    command = [str(programs / "initdb"), "--version"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return int(said.split()[2].split(".")[0])


def _user() -> str | None:
    """Return the user to run as: PostgreSQL refuses root."""
    if os.getuid() != 0:
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return "postgres" if "postgres" in names else "nobody"


class Postgres:
    """A running server; `database` makes a database and returns its URL."""

    def __init__(
        self, port: int, release: int, *, start: Callable[[], subprocess.Popen[bytes]], log: Path
    ) -> None:
        self.port = port
        self._start, self._log = start, log
        self._process = start()
        self._wait()
        self._how = "STRATEGY FILE_COPY" if release >= 15 else ""  # their only way before
        self._numbers = itertools.count(1)

    @contextlib.contextmanager
    def stopped(self) -> Iterator[None]:
        """Let the server be away for a block; its databases are there again afterwards."""
        self.stop()
        try:
            yield
        finally:
            self._process = self._start()
            self._wait()

    def stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait(30)

    def _wait(self) -> None:
        import psycopg

        until = time.monotonic() + 60
        while True:
            try:
                self.say("SELECT 1")
            except psycopg.OperationalError:
                assert self._process.poll() is None, self._log.read_text()
                assert time.monotonic() < until, self._log.read_text()
                time.sleep(0.02)
            else:
                return

    def url(self, name: str) -> str:
        return f"postgresql+psycopg://assay@127.0.0.1:{self.port}/{name}"

    def empty(self) -> str:
        """Return the URL of a database with nothing in it."""
        return self._create("template0")

    def database(self) -> str:
        """Return the URL of a database that holds an empty ledger."""
        return self._create("assay_template")

    def _create(self, template: str) -> str:
        name = f"test_{next(self._numbers)}"
        self.say(f'CREATE DATABASE "{name}" TEMPLATE "{template}" {self._how}')
        return self.url(name)

    def drop(self, url: str) -> None:
        """Remove a database, whoever is still connected."""
        self.say(f'DROP DATABASE IF EXISTS "{url.rpartition("/")[2]}" WITH (FORCE)')

    def clear(self, url: str) -> None:
        """Take all rows out of a ledger: cheaper than another database."""
        with _connected(url) as connection:
            connection.execute(_CLEAR)

    def say(self, statement: str) -> None:
        with _connected(self.url("postgres")) as connection:
            connection.execute(statement.encode())

    def cut(self, url: str, where: str = "true") -> int:
        """End the connections to a database, or those of a condition; return how many it were."""
        name = url.rpartition("/")[2]
        query = (
            "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity "
            f"WHERE datname = '{name}' AND {where}"
        )
        with _connected(self.url("postgres")) as connection:
            (found,) = connection.execute(query.encode()).fetchall()
        return int(found[0])

    @contextlib.contextmanager
    def closed(self, url: str) -> Iterator[None]:
        """Let nobody be connected to a database for a block; the others go on."""
        name = url.rpartition("/")[2]
        self.say(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS false')
        try:
            self.cut(url)
            yield
        finally:
            self.say(f'ALTER DATABASE "{name}" WITH ALLOW_CONNECTIONS true')

    def _make_template(self) -> None:
        self.say("CREATE DATABASE assay_template")
        open_ledger(self.url("assay_template")).close()


@contextlib.contextmanager
def holding(url: str, statement: str) -> Iterator[None]:
    """Hold for a block what a statement locks in a database."""
    with _connected(url) as connection, connection.transaction():
        connection.execute(statement.encode())
        yield


def _connected(url: str) -> psycopg.Connection:
    import psycopg

    return psycopg.connect(url.replace("+psycopg", ""), autocommit=True)


@contextlib.contextmanager
def running() -> Iterator[Postgres]:
    """Start a server in a temporary folder."""
    programs = _programs()
    if programs is None:
        if ON_CI:
            raise RuntimeError("PostgreSQL is not installed: 'make programs' does, as root")
        pytest.skip("PostgreSQL is not installed: 'make programs' does, where apt-get is allowed")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # sockets need a short path
    user, port = _user(), free_port()
    if user is not None:
        shutil.chown(folder, user)
    log = folder / "server.log"
    data = str(folder / "data")
    initdb = [
        str(programs / "initdb"), "-D", data, "-U", "assay", "--auth=trust", "--no-sync",
        "--encoding=UTF8", "--locale=C",
    ]  # fmt: skip
    release = _release_of(programs)
    if release >= 15:  # sorted as for people, which is what most databases do
        initdb += ["--locale-provider=icu", "--icu-locale=en-US"]
    subprocess.run(initdb, check=True, capture_output=True, user=user, cwd=folder)
    command = [str(programs / "postgres"), "-D", data, "-p", str(port), "-k", str(folder)]
    for name, value in _OPTIONS.items():
        command += ["-c", f"{name}={value}"]

    def start() -> subprocess.Popen[bytes]:
        with log.open("ab") as said:
            return subprocess.Popen(
                ["sh", "-c", _WHILE_WE_LIVE, "sh", *command],
                stdin=subprocess.PIPE, stdout=said, stderr=said, user=user, cwd=folder,
            )  # fmt: skip

    server = Postgres(port, release, start=start, log=log)
    try:
        server._make_template()
        yield server
    finally:
        server.stop()
        shutil.rmtree(folder, ignore_errors=True)
