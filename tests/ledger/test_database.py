"""Opening a ledger: made when missing, refused when it is not ours, cheap when up to date."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import pytest

from assay.base.errors import Error, NotFound
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.writer import Writer


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
    code = """if True:
        import sys
        import assay.ledger.writer, assay.ledger.runs, assay.ledger.models, assay.ledger.recorder
        assert "sqlalchemy" not in sys.modules
        from assay.ledger.database import open_ledger
        from sqlalchemy import Engine, event
        said = []
        @event.listens_for(Engine, "before_cursor_execute")
        def remember(connection, cursor, statement, *rest):
            said.append(statement)
        open_ledger(sys.argv[1]).close()
        assert "alembic" not in sys.modules
        print([one for one in said if not one.startswith("BEGIN")])
    """
    assert python(code, ledger.name) == "['SELECT version_num FROM alembic_version']"


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
            import alembic, assay.ledger.migrations
            os.setuid(65534)
        print(try_it(sys.argv[1]))
    """
    before = (locked_folder / "ledger.db").read_bytes()
    said = python(code, locked_folder / name)
    assert said.startswith(str(locked_folder / name))
    assert "check the permissions" in said
    assert (locked_folder / "ledger.db").read_bytes() == before
    assert len(list(locked_folder.iterdir())) == 1


def test_many_processes_may_make_the_same_ledger(tmp_path: Path):
    code = """if True:
        import sys
        from assay.ledger.database import open_ledger
        from assay.ledger.writer import Writer
        with open_ledger(sys.argv[1]) as ledger:
            print(Writer(ledger).start_run(name="x", kind="script"))
    """
    path = tmp_path / "ledger.db"
    with ThreadPoolExecutor() as pool:
        made = list(pool.map(lambda _: python(code, path), range(4)))
    with open_ledger(path) as ledger:
        assert {row.id for row in runs.list_(ledger)} == set(made)
    assert [file.name for file in tmp_path.iterdir()] == ["ledger.db"]


def test_postgresql_without_its_extra_says_what_to_install():
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

    with pytest.raises(Error, match="UNIQUE"):
        write_twice()
    with ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM edge").scalar() == 0


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
