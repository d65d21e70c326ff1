"""Group commit: many writers, few transactions, each told its own result."""

from __future__ import annotations

import queue
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from psycopg.errors import DiskFull
from sqlalchemy import event, text
from sqlalchemy.exc import OperationalError

from assay.base.errors import Error
from assay.ledger import committer as committers
from assay.ledger import recording, tables
from assay.ledger.committer import Away, Committer, Full
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.sinks import Unavailable

if TYPE_CHECKING:
    from sqlalchemy import Connection


@pytest.fixture
def committer(ledger: Ledger) -> Iterator[Committer]:
    made = Committer(ledger)
    yield made
    made.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[Ledger]:
    with open_ledger(tmp_path / "ledger.db") as opened:
        yield opened


def tagging(run: str, key: str, value: str = "x") -> Callable[[Connection], str]:
    def work(connection: Connection) -> str:
        recording.put_tags(connection, run, {key: value}, at=1)
        return key

    return work


def refusing(connection: Connection) -> None:
    recording.put_params(connection, "run", {})
    raise Error("no")


def tags(ledger: Ledger, run: str) -> set[str]:
    with ledger.read() as connection:
        query = tables.tag.select().where(tables.tag.c.run_id == run)
        return {row.key for row in connection.execute(query)}


def held(committer: Committer) -> threading.Event:
    """Keep the writer busy until the event is set, so that others have to wait."""
    go, busy = threading.Event(), threading.Event()

    def work(_connection: Connection) -> None:
        busy.set()
        go.wait(30)

    committer.submit(work)
    assert busy.wait(30)
    return go


def test_writes_that_wait_go_into_one_transaction(committer: Committer, run: str):
    go = held(committer)
    waiting = [committer.submit(tagging(run, f"t{i}")) for i in range(50)]
    before = committer.n_transactions
    go.set()
    assert [future.result(30) for future in waiting] == [f"t{i}" for i in range(50)]
    assert committer.n_transactions - before == 1
    assert tags(committer.ledger, run) == {f"t{i}" for i in range(50)}


def test_one_refusal_harms_no_other(committer: Committer, run: str):
    go = held(committer)
    first = committer.submit(tagging(run, "a"))
    second = committer.submit(refusing)
    third = committer.submit(tagging(run, "b"))
    broken: Future[Any] = committer.submit(lambda _: 1 / 0)  # a mistake of ours
    mistaken = committer.submit(lambda connection: connection.execute(text("SELECT nothing")))
    go.set()
    futures: list[Future[Any]] = [first, second, third, broken, mistaken]
    wait(futures, timeout=30)
    assert (first.result(), third.result()) == ("a", "b")
    assert str(second.exception()) == "no"
    assert isinstance(broken.exception(), ZeroDivisionError)
    assert isinstance(mistaken.exception(), Error)
    assert tags(committer.ledger, run) == {"a", "b"}


def test_a_refused_write_leaves_nothing_behind(committer: Committer, run: str):
    def half(connection: Connection) -> None:
        recording.put_tags(connection, run, {"half": "x"}, at=1)
        raise Error("no")

    with pytest.raises(Error, match="no"):
        committer.submit(half).result(30)
    go = held(committer)
    alone, among = committer.submit(half), committer.submit(tagging(run, "kept"))
    go.set()
    futures: list[Future[Any]] = [alone, among]
    wait(futures, timeout=30)
    assert tags(committer.ledger, run) == {"kept"}


def test_a_result_is_told_only_after_it_is_kept(committer: Committer, run: str):
    seen: list[set[str]] = []
    told = threading.Event()

    def done(_result: object, _error: BaseException | None) -> None:
        seen.append(tags(committer.ledger, run))
        told.set()

    committer.put(tagging(run, "a"), done)
    assert told.wait(30)
    assert seen == [{"a"}]


def test_one_who_does_not_listen_any_more_stops_nobody(committer: Committer, run: str):
    def done(_result: object, _error: BaseException | None) -> None:
        raise RuntimeError("the loop is closed")

    committer.put(tagging(run, "a"), done)
    assert committer.submit(tagging(run, "b")).result(30) == "b"


def test_a_transaction_ends_after_a_while_whatever_waits(
    committer: Committer, run: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(committers, "LONGEST", 0.0)
    go = held(committer)
    before = committer.n_transactions
    waiting = [committer.submit(tagging(run, f"t{i}")) for i in range(5)]
    go.set()
    wait(waiting, timeout=30)
    assert committer.n_transactions - before == 5
    assert len(tags(committer.ledger, run)) == 5


def test_closing_writes_what_waits_and_takes_nothing_more(ledger: Ledger, run: str):
    committer = Committer(ledger)
    go = held(committer)
    waiting = [committer.submit(tagging(run, f"t{i}")) for i in range(20)]
    go.set()
    committer.close()
    assert all(future.done() for future in waiting)
    assert len(tags(ledger, run)) == 20
    with pytest.raises(Unavailable, match="the hub ends"):
        committer.submit(tagging(run, "late"))


class Slow(queue.SimpleQueue[Any]):
    """A queue in which a write arrives only when another thread had time to close."""

    def __init__(self, closing: threading.Thread) -> None:
        self.closing = closing

    def put(self, item: Any, *_: Any) -> None:
        if item is not None:
            self.closing.start()
            self.closing.join(timeout=0.3)
        super().put(item)


def test_a_write_that_is_put_while_it_closes_is_told_its_result(ledger: Ledger, run: str):
    committer = Committer(ledger)
    closing = threading.Thread(target=committer.close)
    committer._queue = Slow(closing)
    assert committer.submit(tagging(run, "late")).result(timeout=10) == "late"
    closing.join()
    assert tags(ledger, run) == {"late"}


def test_a_lock_that_is_let_go_is_waited_for(committer: Committer, run: str):
    with open_ledger(committer.ledger.where) as other:
        with other.write():
            future = committer.submit(tagging(run, "a"))
            time.sleep(0.3)
            assert not future.done()
        assert future.result(30) == "a"


def test_a_lock_that_is_kept_makes_writes_fail_and_not_the_writer(ledger: Ledger, run: str):
    committer = Committer(ledger, patience=0.2)
    try:
        with open_ledger(ledger.where) as other:
            with other.write(), pytest.raises(Unavailable):
                committer.submit(tagging(run, "a")).result(30)
            assert committer.submit(tagging(run, "b")).result(30) == "b"
    finally:
        committer.close()
    assert tags(ledger, run) == {"b"}


def test_a_file_that_is_gone_is_said_to_be_and_found_again(file: Ledger, tmp_path: Path):
    run = new_run(file)
    committer = Committer(file, patience=0.2)
    try:
        committer.submit(tagging(run, "a")).result(30)
        away = tmp_path / "away"
        away.mkdir()
        for suffix in ("", "-wal", "-shm"):
            shutil.move(f"{file.where}{suffix}", away)
        with pytest.raises(Unavailable, match="gone"):
            committer.submit(tagging(run, "b")).result(30)
        assert not Path(file.where).exists()
        for found in away.iterdir():
            shutil.move(found, tmp_path)
        assert committer.submit(tagging(run, "c")).result(30) == "c"
    finally:
        committer.close()
    assert tags(file, run) == {"a", "c"}


def test_a_full_disk_is_said_to_be_and_the_writer_goes_on(file: Ledger):
    run = new_run(file)
    committer = Committer(file)
    with file.read() as connection:
        n_pages = connection.exec_driver_sql("PRAGMA page_count").scalar_one()
    file.engine.dispose()

    @event.listens_for(file.engine, "connect")
    def limit(connection: Any, _: object) -> None:
        connection.execute(f"PRAGMA max_page_count = {n_pages + 4}")

    try:
        with pytest.raises(Full, match="disk is full"):
            committer.submit(tagging(run, "large", "x" * 1_000_000)).result(30)
        assert committer.submit(tagging(run, "small")).result(30) == "small"
    finally:
        committer.close()
    assert tags(file, run) == {"small"}


def test_a_connection_that_was_cut_is_made_again(committer: Committer, run: str):
    ledger = committer.ledger
    committer.submit(tagging(run, "a")).result(30)
    if ledger.is_sqlite:
        committer._connection.connection.driver_connection.close()  # type: ignore[union-attr]
    else:
        with ledger.write() as connection:
            others = "datname = current_database() AND pid <> pg_backend_pid()"
            connection.execute(
                text(f"SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE {others}")
            )
    assert committer.submit(tagging(run, "b")).result(30) == "b"
    assert tags(ledger, run) == {"a", "b"}


def new_run(ledger: Ledger) -> str:
    from assay.ledger.writer import Writer

    return Writer(ledger).start_run(name="a", kind="script")


@pytest.mark.parametrize(
    ("said", "kind"),
    [
        ("database or disk is full", Full),
        ('could not extend file "base/16384/2619": No space left on device', Full),
        ('could not translate host name "db-full" to address: Name or service not known', Away),
        ('connection to server at "fullstack.example.org", port 5432 failed: refused', Away),
        ('FATAL:  database "fulfil" does not exist', Away),
    ],
)
def test_a_database_is_full_only_where_it_says_so_of_its_disk(said: str, kind: type[Error]):
    assert committers.kind_of(OperationalError(None, None, Exception(said)), said) is kind


def test_a_server_whose_disk_is_full_is_known_by_its_code_in_any_language():
    said = "konnte Datei »base/16384/2619« nicht erweitern"
    error = OperationalError(None, None, DiskFull(said))
    assert committers.kind_of(error, said) is Full
