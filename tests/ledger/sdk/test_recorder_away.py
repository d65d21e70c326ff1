"""A ledger that is locked, away, full or gone stops no run: what it says waits in a file."""

from __future__ import annotations

import contextlib
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import assay
from assay.base.errors import NotFound
from assay.ledger import operations, runs
from assay.ledger.database import open_ledger
from assay.ledger.operations import Batch, Refusal
from assay.ledger.sdk import channel, channels, spool
from assay.ledger.sdk.replay import Report, replay
from assay.ledger.sinks import LedgerSink, TooLarge, Unavailable
from tests import databases, make

Away = Callable[[], contextlib.AbstractContextManager[None]]


@pytest.fixture(autouse=True)
def impatient(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.chdir(project)
    monkeypatch.setattr(channel, "PATIENCE", 0.5)
    yield
    channels._channels.clear()


@contextlib.contextmanager
def locked(ledger: Path) -> Iterator[None]:
    with contextlib.closing(sqlite3.connect(ledger, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield
        connection.execute("ROLLBACK")


def place(project: Path) -> tuple[Path, Path]:
    return project / ".assay" / "ledger.db", project / ".assay" / "spool"


def where(project: Path) -> Path | str:
    """Return where this test's scripts record: a file, or the URL of a database."""
    return os.environ.get("ASSAY_LEDGER") or place(project)[0]


@pytest.fixture
def away(project: Path, recorded: str | None, request: pytest.FixtureRequest) -> Away:
    """Keep writers from the ledger for a block: a file is locked, a database is closed."""
    if recorded is None:
        return lambda: locked(place(project)[0])
    server: databases.Postgres = request.getfixturevalue("postgres")
    return lambda: server.closed(recorded)


def sent(project: Path) -> Report:
    return channels.channel(str(where(project)), folder=place(project)[1]).resend()


def history(project: Path, run: str) -> list[float]:
    with open_ledger(where(project)) as ledger:
        return [point.value for point in runs.history(ledger, run, "loss")]


def test_a_run_goes_on_while_the_ledger_is_locked_or_away(
    project: Path, away: Away, capfd: pytest.CaptureFixture[str]
):
    _, folder = place(project)
    with assay.run("first"):
        pass
    with away(), assay.run("second", params={"lr": 0.1}) as run:
        for step in range(100):
            assay.log_metric("loss", step, step=step)
    (left,) = spool.files(folder)
    assert left.name.startswith(run.id)
    assert "'assay runs sync'" in capfd.readouterr().err
    assert sent(project).sent == (run.id,)
    assert not spool.files(folder)
    assert history(project, run.id) == [*range(100)]
    with open_ledger(where(project)) as opened:
        found = runs.get(opened, run.id)
    assert (found.status, found.params) == ("finished", {"lr": 0.1})


def test_a_run_goes_on_where_the_ledger_is_back_in_its_midst(project: Path, away: Away):
    _, folder = place(project)
    with assay.run() as run:
        assay.log_metric("loss", 0, step=0)
        with away():
            assay.log_metric("loss", 1, step=1)
            deadline = time.monotonic() + 20
            while not spool.files(folder) and time.monotonic() < deadline:
                time.sleep(0.01)
            assert spool.files(folder)
        assay.log_metric("loss", 2, step=2)
    deadline = time.monotonic() + 20
    while spool.files(folder) and time.monotonic() < deadline:
        sent(project)
        time.sleep(0.05)
    assert history(project, run.id) == [0, 1, 2]


def test_the_next_run_sends_what_waits(project: Path, away: Away):
    _, folder = place(project)
    with assay.run("first"):
        pass
    with away(), assay.run("second") as second:
        assay.log_metric("loss", 5)
    assert spool.files(folder)
    with assay.run("third") as third:
        deadline = time.monotonic() + 20
        while spool.files(folder) and time.monotonic() < deadline:
            third.flush()
            time.sleep(0.05)
    assert history(project, second.id) == [5]


def test_a_batch_that_is_sent_again_is_applied_once(project: Path, away: Away):
    _, folder = place(project)
    with assay.run("first"):
        pass
    with away(), assay.run("second") as run:
        assay.set_tag("team", "a")
    (left,) = spool.files(folder)
    content = left.read_bytes()
    assert sent(project).sent == (run.id,)
    with assay.run(resume=run.id):
        assay.set_tag("team", "b")
    left.write_bytes(content)  # its process was killed before it could remove the file
    assert sent(project).sent == (run.id,)
    with open_ledger(where(project)) as opened:
        assert runs.get(opened, run.id).tags == {"team": "b"}


def test_a_file_that_is_taken_away_in_the_midst_and_put_back_misses_nothing(project: Path):
    ledger, folder = place(project)
    aside = project / "aside"
    aside.mkdir()
    with assay.run() as run:
        assay.log_metric("loss", 0, step=0)
        run.flush()
        with contextlib.closing(sqlite3.connect(ledger)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        for file in ledger.parent.glob("ledger.db*"):
            file.rename(aside / file.name)
        assay.log_metric("loss", 1, step=1)
        run.flush()
        assert spool.files(folder)
        for file in aside.iterdir():
            file.rename(ledger.parent / file.name)
        assay.log_metric("loss", 2, step=2)
    deadline = time.monotonic() + 20
    while spool.files(folder) and time.monotonic() < deadline:
        sent(project)
        time.sleep(0.05)
    assert history(project, run.id) == [0, 1, 2]


def test_a_file_that_was_made_anew_gets_the_beginning_of_the_run_again_and_that_is_said(
    project: Path, capfd: pytest.CaptureFixture[str]
):
    ledger, _ = place(project)
    with assay.run("train") as run:
        run.flush()
        for file in ledger.parent.glob("ledger.db*"):
            file.unlink()
        open_ledger(ledger).close()
        assay.log_metric("loss", 1, step=1)
    assert capfd.readouterr().err.count("is another file now") == 1
    assert history(project, run.id) == [1]
    with open_ledger(ledger) as opened:
        assert runs.get(opened, run.id).status == "finished"


FULL = """if True:
    import assay, resource, sys
    with assay.run("train") as run:
        print(run.id, flush=True)
        run.flush()
        size = int(sys.argv[1])
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        for step in range(3000):
            assay.log_metric("loss", step, step=step)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
        run.flush()
        assay.log_text("x" * 100, "note.txt")
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        print(run.channel.sink.name, file=sys.stderr)
"""


def test_a_disk_that_is_full_for_the_file_of_the_ledger_loses_nothing(project: Path):
    _ledger, folder = place(project)
    with assay.run("first"):
        pass
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(300_000)],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: signal.signal(signal.SIGXFSZ, signal.SIG_IGN),
    )
    assert done.returncode == 0, done.stderr
    sent(project)
    assert not spool.files(folder)
    assert history(project, done.stdout.strip()) == [*range(3000)]


def test_a_line_that_was_cut_is_left_out(project: Path):
    ledger, folder = place(project)
    with assay.run("first"):
        pass
    with locked(ledger), assay.run("second") as run:
        assay.log_metric("loss", 5)
    (left,) = spool.files(folder)
    with left.open("ab") as handle:
        handle.write(b'{"sender": "x", "num')
    assert sent(project).sent == (run.id,)
    assert not list(folder.iterdir())


def wait(project: Path, name: str, **tags: str) -> tuple[str, Path]:
    """Leave a run in the spool, as a process does that finds the ledger locked."""
    ledger, folder = place(project)
    if not ledger.exists():
        open_ledger(ledger).close()
    before = {*spool.files(folder)}
    with locked(ledger), assay.run(name) as run:
        assay.set_tags(tags)
        assay.log_metric("loss", 5)
    (left,) = {*spool.files(folder)} - before
    return run.id, left


def test_a_damaged_file_is_named_and_put_aside_and_the_others_are_sent(project: Path):
    _, folder = place(project)
    run, _ = wait(project, "good")
    for number, content in enumerate((b"garbage\n", b"\0\xff\0\n", b"", b"{}\n{}\n")):
        (folder / f"0000-{number}.abc.jsonl").write_bytes(content)
    report = sent(project)
    assert report.sent == (run,)
    assert len(report.damaged) == 4
    assert "0000-0.abc.jsonl: this is no spool" in report.damaged[0]
    assert "is kept as 0000-0.abc.jsonl.damaged" in report.damaged[0]
    assert not spool.files(folder)
    assert (folder / "0000-0.abc.jsonl.damaged").read_bytes() == b"garbage\n"
    assert sent(project) == Report()


def test_what_can_be_read_of_a_damaged_file_is_sent_and_the_file_is_kept(project: Path):
    _, folder = place(project)
    run, left = wait(project, "bad")
    content = left.read_bytes()
    header, *lines = content.splitlines(keepends=True)
    named = b'{"sender": 1, "oid": "sha256:' + b"a" * 64 + b'"}\n'
    left.write_bytes(b"".join([header, lines[0], named, *lines[1:]]))
    assert "a" * 64 in spool.oids(folder)
    report = sent(project)
    assert report.sent == (run,)
    assert ".jsonl:3: this is no batch" in report.damaged[0]
    with open_ledger(place(project)[0]) as opened:
        assert runs.get(opened, run).status == "finished"
    assert [path.name for path in folder.iterdir()] == [f"{left.name}.damaged"]
    assert "a" * 64 in spool.oids(folder)  # its files are not collected


def test_a_file_that_cannot_be_sent_does_not_keep_the_others(project: Path):
    ledger, folder = place(project)
    first, bad = wait(project, "first")
    second, good = wait(project, "second")
    sink = LedgerSink(str(ledger))

    for problem in (assay.Error("no"), Unavailable("not now"), NotFound("no such run")):

        def send(batch: Batch, problem: assay.Error = problem) -> list[Refusal]:
            if batch.operations[0].run == first:
                raise problem
            return sink.send(batch)

        content = good.read_bytes()
        report = replay(folder, send, to=str(ledger))
        assert report.sent == (second,)
        assert (report.waiting, len(report.problems)) == ((bad.name,), 1)
        good.write_bytes(content)
    sink.rest()
    assert sorted(sent(project).sent) == sorted((first, second))


class Narrow(LedgerSink):
    """A ledger that takes few bytes at once, as a hub does."""

    def send(self, batch: Batch) -> list[Refusal]:
        if len(operations.encode(batch)) > 30_000:
            raise TooLarge("this is more than is taken at once")
        return super().send(batch)


def test_what_is_too_large_at_once_is_sent_in_parts_and_what_has_none_is_refused(project: Path):
    ledger, folder = place(project)
    run, _ = wait(project, "large", huge="x" * 50_000, small="y" * 20_000, other="z" * 20_000)
    sink = Narrow(str(ledger))
    report = replay(folder, sink.send, to=str(ledger))
    sink.rest()
    assert report.sent == (run,)
    (refused,) = report.refused
    assert (refused.run, refused.what) == (run, "this is more than is taken at once")
    assert "xxxxx" in (folder / "refused.json-lines").read_text()
    with open_ledger(ledger) as opened:
        found = runs.get(opened, run)
    assert sorted(found.tags) == ["other", "small"]
    assert (found.status, found.metrics["loss"].value) == ("finished", 5)


def test_a_file_that_is_gone_is_not_made_anew_by_the_run_that_began_on_it(
    project: Path, capfd: pytest.CaptureFixture[str]
):
    ledger, folder = place(project)
    with assay.run() as run:
        assay.log_metric("loss", 0, step=0)
        run.flush()
        for file in ledger.parent.glob("ledger.db*"):
            file.unlink()
        for step in range(1, 20):
            assay.log_metric("loss", step, step=step)
            run.flush()
            assert not ledger.exists()
    assert not ledger.exists()
    assert "cannot be written to now (the ledger is gone)" in capfd.readouterr().err
    assert [path.name.partition(".")[0] for path in spool.files(folder)] == [run.id]
    make.done(project, "runs", "sync")  # another process may make one
    assert history(project, run.id) == [*range(1, 20)]


def test_text_that_is_not_utf_8_is_refused_and_nothing_else_is_lost(project: Path):
    name = os.fsdecode(b"caf\xe9.txt")
    (project / "bad").mkdir()
    try:
        (project / "bad" / name).write_text("x")
    except OSError:
        pytest.skip("this file system takes names of UTF-8 only")
    with assay.run() as run:
        assay.log_metric("loss", 1, step=1)
        with pytest.raises(assay.Error, match="no text of UTF-8"):
            assay.log_artifacts("bad")
        with pytest.raises(assay.Error, match="or is git's own"):
            assay.log_text("x", ".git/config")
        assay.log_metric("loss", 2, step=2)
    with pytest.raises(ValueError, match="cannot read"), assay.run() as failed:
        raise ValueError(f"cannot read {name}")
    assert history(project, run.id) == [1, 2]
    with open_ledger(place(project)[0]) as opened:
        found = runs.get(opened, failed.id)
        assert runs.get(opened, run.id).status == "finished"
    assert (found.status, found.reason) == ("failed", "ValueError: cannot read caf\ufffd.txt")


def test_a_place_that_never_works_is_an_error_at_the_beginning(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "text.txt").write_text("no ledger")
    monkeypatch.setenv("ASSAY_LEDGER", str(project / "text.txt"))
    with pytest.raises(assay.Error, match="not a ledger of Assay"), assay.run():
        pass
    assert not spool.files(place(project)[1])
    assert (project / "text.txt").read_text() == "no ledger"


def test_what_is_refused_comes_up_at_the_end_at_the_latest(project: Path, recorded: str | None):
    from assay.ledger.writer import Writer

    with (  # noqa: PT012 -- the block is what is tested
        pytest.raises(assay.Error, match="parameter 'lr' of the run is '1' already") as raised,
        assay.run() as run,
    ):
        with open_ledger(where(project)) as other:
            Writer(other).log_params(run.id, {"lr": 1})
        assay.log_param("lr", 2)
        assay.log_metric("loss", 1)
    assert "begin a run of its own" in str(raised.value)
    with open_ledger(where(project)) as opened:
        found = runs.get(opened, run.id)
    assert (found.status, found.params) == ("finished", {"lr": 1})
    assert found.metrics["loss"].value == 1


def test_a_parameter_of_another_value_is_an_error_at_once(project: Path, recorded: str | None):
    with assay.run() as run:
        assay.log_param("lr", 0.1)
        assay.log_param("lr", "0.1")
        with pytest.raises(assay.Error, match=r"'0\.1' already; it cannot become '0\.2'"):
            assay.log_params({"lr": 0.2, "seed": 1})
    with open_ledger(where(project)) as opened:
        assert runs.get(opened, run.id).params == {"lr": 0.1}
