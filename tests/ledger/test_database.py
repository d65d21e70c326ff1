"""Opening a ledger: made when missing, refused when it is not ours, cheap when up to date."""

from __future__ import annotations

import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from assay.base.errors import Error, NotFound
from assay.ledger import runs, tables
from assay.ledger.committer import Away
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer
from tests.databases import KINDS, Postgres


def python(code: str, *arguments: object, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def execute(url: str, statement: str) -> list[Any]:
    """Run a statement in a database, and return the rows that it has as plain tuples."""
    with closing(psycopg.connect(url.replace("+psycopg", ""), autocommit=True)) as connection:
        done = connection.execute(statement.encode())
        return done.fetchall() if done.description else []


def test_a_missing_ledger_is_made_with_its_folder(tmp_path: Path):
    with open_ledger(tmp_path / "new" / "ledger.db") as ledger, ledger.read() as connection:
        mode = connection.exec_driver_sql("PRAGMA journal_mode").scalar()
        keys = connection.exec_driver_sql("PRAGMA foreign_keys").scalar()
    assert (mode, keys) == ("wal", 1)
    assert [file.name for file in (tmp_path / "new").iterdir()] == ["ledger.db"]


def test_a_missing_ledger_is_not_made_by_a_reader(tmp_path: Path):
    with pytest.raises(NotFound, match="there is no ledger"):
        open_ledger(tmp_path / "ledger.db", create=False)
    assert not list(tmp_path.iterdir())


def test_an_empty_file_becomes_a_ledger(tmp_path: Path):
    (tmp_path / "ledger.db").touch()
    with open_ledger(tmp_path / "ledger.db") as ledger:
        assert runs.list_(ledger) == []


def test_an_up_to_date_ledger_is_opened_by_one_select_without_alembic(ledger: Ledger):
    assert python(OPENING, ledger.where) == "['SELECT version_num FROM alembic_version']"


OPENING = """if True:
    import sys
    import assay.ledger.writer, assay.ledger.runs, assay.ledger.models, assay.ledger.sdk.recorder
    assert "sqlalchemy" not in sys.modules
    from assay.ledger.database import open_ledger
    from sqlalchemy import Engine, event
    said = []
    @event.listens_for(Engine, "before_cursor_execute")
    def remember(connection, cursor, statement, *rest):
        said.append(statement)
    open_ledger(sys.argv[1]).close()
    assert "alembic" not in sys.modules
    of_driver = ("BEGIN", "select pg_catalog.version", "show standard_", "select current_schema")
    print([one for one in said if not one.startswith(of_driver)])
"""


def test_a_ledger_of_a_newer_assay_is_refused_and_unchanged(tmp_path: Path):
    path = tmp_path / "ledger.db"
    open_ledger(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '0999'")
        connection.commit()
    before = path.read_bytes()
    with pytest.raises(Error, match=r"newer Assay \(revision '0999'.*\n.*upgrade assay"):
        open_ledger(path)
    assert path.read_bytes() == before
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]


def test_a_database_of_a_newer_assay_is_refused_and_unchanged(postgres: Postgres):
    url = postgres.database()
    execute(url, "UPDATE alembic_version SET version_num = '0999'")
    with pytest.raises(Error, match=r"newer Assay \(revision '0999'.*\n.*upgrade assay"):
        open_ledger(url)
    assert execute(url, "SELECT version_num FROM alembic_version") == [("0999",)]


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE other (x int)",
        "CREATE TABLE alembic_version AS SELECT 'c4b3a1'::text AS version_num",  # MLflow's, say
    ],
)
def test_a_database_of_another_program_is_refused_and_unchanged(
    postgres: Postgres, statement: str
):
    url = postgres.empty()
    execute(url, statement)
    with pytest.raises(Error, match=r"not a ledger of Assay.*\n.*left as it"):
        open_ledger(url)
    tables = "SELECT count(*) FROM information_schema.tables WHERE table_schema = 'public'"
    assert execute(url, tables) == [(1,)]


def test_an_empty_database_becomes_a_ledger_but_not_by_a_reader(postgres: Postgres):
    url = postgres.empty()
    with pytest.raises(NotFound, match="there is no ledger in this database"):
        open_ledger(url, create=False)
    open_ledger(url).close()
    open_ledger(url, create=False).close()


@pytest.mark.parametrize(
    ("change", "said", "hint"),
    [
        (lambda url: re.sub(r"/test_\d+", "/none", url), '"none" does not exist', "createdb"),
        (lambda url: url.replace("assay:", "ada:"), '"ada" does not exist', "createuser"),
        (lambda url: re.sub(r":\d+/", ":1/", url), "refused", "check the host and the port"),
    ],
)  # fmt: skip
def test_a_database_that_cannot_be_reached_is_an_error_with_the_next_step(
    postgres: Postgres, change: Callable[[str], str], said: str, hint: str
):
    url = change(postgres.database().replace("assay@", "assay:s3cret@"))
    with pytest.raises(Error) as caught:
        open_ledger(url)
    assert isinstance(caught.value, Away)
    assert said in caught.value.what
    assert hint in str(caught.value.hint)
    assert "s3cret" not in str(caught.value)


@pytest.fixture(params=["text", "foreign", "folder"])
def stranger(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / "ledger.db"
    if request.param == "text":
        path.write_text("a,b\n1,2\n" * 10)
    elif request.param == "foreign":
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("CREATE TABLE other (x)")
    else:
        path.mkdir()
    return path


def test_what_is_no_ledger_is_refused_and_unchanged(stranger: Path):
    before = stranger.read_bytes() if stranger.is_file() else None
    with pytest.raises(Error, match=r"not a ledger of Assay|is a directory"):
        open_ledger(stranger)
    assert (stranger.read_bytes() if stranger.is_file() else None) == before
    assert [file.name for file in stranger.parent.iterdir()] == ["ledger.db"]


def test_a_ledger_that_is_opened_again_in_this_process_keeps_its_locks(tmp_path: Path):
    path = tmp_path / "ledger.db"
    code = """if True:
        import sys
        from assay.ledger.database import open_ledger
        from assay.ledger.runs import list_
        with open_ledger(sys.argv[1]) as ledger:
            print(len(list_(ledger)))
    """
    with open_ledger(path) as ledger:
        Writer(ledger).start_run(name="x", kind="script")
        log = Path(f"{path}-wal")
        before = log.stat().st_ino
        open_ledger(path).close()

        assert python(code, path) == "1"

        # the last one to leave removes the log; it must not have taken itself for the last
        assert log.stat().st_ino == before
        Writer(ledger).start_run(name="y", kind="script")
    assert python(code, path) == "2"


@pytest.fixture
def locked_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp())
    open_ledger(folder / "ledger.db").close()
    (folder / "ledger.db").chmod(0o444)
    folder.chmod(0o555)
    yield folder
    folder.chmod(0o755)
    shutil.rmtree(folder)


@pytest.mark.parametrize("name", ["ledger.db", "missing.db"])
def test_a_folder_that_cannot_be_written_gives_an_error_with_the_next_step(
    locked_folder: Path, name: str
):
    code = """if True:
        import os, sys
        from assay.base.errors import Error
        from assay.ledger.database import open_ledger
        from assay.ledger.writer import Writer
        def try_it(path):
            try:
                with open_ledger(path) as ledger:
                    Writer(ledger).start_run(name="x", kind="script")
            except Error as error:
                return str(error)
        if os.getuid() == 0:  # to whom nothing is forbidden
            try_it("/dev/null")  # imports what is needed
            import alembic, assay.ledger.migrations, encodings.ascii
            os.setuid(65534)
        print(try_it(sys.argv[1]))
    """
    before = (locked_folder / "ledger.db").read_bytes()
    said = python(code, locked_folder / name)
    assert said.startswith(str(locked_folder / name))
    assert "check the permissions" in said
    assert (locked_folder / "ledger.db").read_bytes() == before
    assert len(list(locked_folder.iterdir())) == 1


@pytest.mark.parametrize("kind", KINDS)
def test_many_processes_may_make_the_same_ledger(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
):
    code = """if True:
        import sys
        from assay.ledger.database import open_ledger
        from assay.ledger.writer import Writer
        with open_ledger(sys.argv[1]) as ledger:
            print(Writer(ledger).start_run(name="x", kind="script"))
    """
    is_file = kind == "sqlite"
    where = tmp_path / "ledger.db" if is_file else request.getfixturevalue("postgres").empty()
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda _: python(code, where), range(4)))
    with open_ledger(where) as ledger:
        assert {row.id for row in runs.list_(ledger)} == set(made)
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"] * is_file


def test_postgresql_without_its_extra_says_what_to_install(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "psycopg", None)  # as where it is not installed
    with pytest.raises(Error) as caught:
        open_ledger("postgresql+psycopg://me:s3cret@db.example/assay?password=s3cret")
    assert "pip install 'assay[postgres]'" in str(caught.value)
    assert "s3cret" not in str(caught.value)
    assert "db.example/assay" in str(caught.value)


@pytest.mark.parametrize("url", ["mysql://me:s3cret@db/assay", "postgresql://me:s3cret@[db/assay"])
def test_another_url_is_refused_without_its_password(url: str):
    with pytest.raises(Error) as caught:
        open_ledger(url)
    assert "s3cret" not in str(caught.value)


def test_a_url_of_a_file_is_that_file(tmp_path: Path):
    with open_ledger(f"sqlite:///{tmp_path}/ledger.db") as ledger:
        assert ledger.where == str(tmp_path / "ledger.db")


def test_a_transaction_that_fails_leaves_nothing(ledger: Ledger):
    def write_twice() -> None:
        with ledger.write() as connection:
            for _ in range(2):
                connection.exec_driver_sql("INSERT INTO edge VALUES ('a', 'b', 'c', 0)")

    with pytest.raises(Error, match=r"(?i)unique"):
        write_twice()
    with ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM edge").scalar() == 0


def test_what_a_transaction_has_read_stays_true_until_it_ends(ledger: Ledger):
    """Each adds one to the largest number: without a lock two would find the same."""

    def add() -> None:
        with open_ledger(ledger.where) as own:
            for _ in range(20):
                with own.write() as connection:
                    edges = connection.exec_driver_sql("SELECT count(*) FROM edge").scalar()
                    row = {"source": f"{edges}", "relation": "r", "target": "t", "at": 0}
                    connection.execute(tables.edge.insert(), row)

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(add) for _ in range(4)]:
            done.result()
    with ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM edge").scalar() == 80


def test_all_reads_of_one_connection_see_one_state(ledger: Ledger, writer: Writer):
    with ledger.read() as connection:
        count = tables.run.select()
        assert connection.execute(count).all() == []
        writer.start_run(name="x", kind="script")
        assert connection.execute(count).all() == []
    assert len(runs.list_(ledger)) == 1


def test_writers_of_the_same_rows_in_another_order_do_not_lock_each_other_out(ledger: Ledger):
    ids = [Writer(ledger).start_run(name=name, kind="script") for name in "ab"]

    def tag(order: list[str]) -> None:
        with open_ledger(ledger.where) as own:
            for number in range(10):
                with own.together():
                    for id_ in order:
                        Writer(own).set_tags(id_, {"n": number})

    with ThreadPoolExecutor() as pool:
        for done in [pool.submit(tag, order) for order in (ids, ids[::-1])]:
            done.result()
    assert [runs.get(ledger, id_).tags for id_ in ids] == [{"n": "9"}] * 2


def test_a_text_that_postgresql_cannot_keep_is_refused_and_changes_nothing(postgres: Postgres):
    with open_ledger(postgres.database()) as ledger:
        run = Writer(ledger).start_run(name="x", kind="script")
        with pytest.raises(Error, match="NUL"):
            Writer(ledger).set_tags(run, {"a": "b", "c": "x\0y"})
        assert runs.get(ledger, run).tags == {}


def test_a_server_that_was_started_again_is_found_again(postgres: Postgres):
    with open_ledger(postgres.database()) as ledger:
        run = Writer(ledger).start_run(name="x", kind="script")
        postgres.say(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
            f"WHERE datname = '{ledger.where.rpartition('/')[2]}'"
        )
        Writer(ledger).set_tags(run, {"a": "b"})
        assert runs.get(ledger, run).tags == {"a": "b"}


def test_a_forked_process_and_its_parent_both_write(ledger: Ledger, writer: Writer):
    parent = writer.start_run(name="parent", kind="script")
    child = os.fork()
    if child == 0:
        code = 1
        try:
            writer.start_run(name="child", kind="script", parent=parent)
            code = 0
        finally:
            os._exit(code)
    writer.set_tags(parent, {"a": "b"})
    assert os.waitpid(child, 0)[1] == 0
    assert [row.name for row in runs.list_(ledger, parent=parent)] == ["child"]
