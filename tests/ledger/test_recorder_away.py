"""A ledger that is locked, full or gone is not noticed by a run: what it says waits in a file."""

from __future__ import annotations

import contextlib
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import assay
from assay.ledger import channel, channels, runs, spool
from assay.ledger.database import open_ledger
from assay.ledger.replay import Report


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


def sent(project: Path) -> Report:
    ledger, folder = place(project)
    return channels.channel(str(ledger), folder=folder).resend()


def history(project: Path, run: str) -> list[float]:
    with open_ledger(place(project)[0]) as ledger:
        return [point.value for point in runs.history(ledger, run, "loss")]


def test_a_run_goes_on_while_the_ledger_is_locked(
    project: Path, capfd: pytest.CaptureFixture[str]
):
    ledger, folder = place(project)
    with assay.run("first"):
        pass
    with locked(ledger), assay.run("second", params={"lr": 0.1}) as run:
        for step in range(100):
            assay.log_metric("loss", step, step=step)
    (left,) = spool.files(folder)
    assert left.name.startswith(run.id)
    assert "'assay runs sync'" in capfd.readouterr().err
    assert sent(project).sent == (run.id,)
    assert not spool.files(folder)
    assert history(project, run.id) == [*range(100)]
    with open_ledger(ledger) as opened:
        found = runs.get(opened, run.id)
    assert (found.status, found.params) == ("finished", {"lr": 0.1})


def test_a_run_goes_on_where_the_lock_ends_in_its_midst(project: Path):
    ledger, folder = place(project)
    with assay.run() as run:
        assay.log_metric("loss", 0, step=0)
        with locked(ledger):
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


def test_the_next_run_sends_what_waits(project: Path):
    ledger, folder = place(project)
    with assay.run("first"):
        pass
    with locked(ledger), assay.run("second") as second:
        assay.log_metric("loss", 5)
    assert spool.files(folder)
    with assay.run("third") as third:
        deadline = time.monotonic() + 20
        while spool.files(folder) and time.monotonic() < deadline:
            third.flush()
            time.sleep(0.05)
    assert history(project, second.id) == [5]


def test_a_batch_that_is_sent_again_is_applied_once(project: Path):
    ledger, folder = place(project)
    with assay.run("first"):
        pass
    with locked(ledger), assay.run("second") as run:
        assay.set_tag("team", "a")
    (left,) = spool.files(folder)
    content = left.read_bytes()
    assert sent(project).sent == (run.id,)
    with assay.run(resume=run.id):
        assay.set_tag("team", "b")
    left.write_bytes(content)  # its process was killed before it could remove the file
    assert sent(project).sent == (run.id,)
    with open_ledger(ledger) as opened:
        assert runs.get(opened, run.id).tags == {"team": "b"}


def test_a_ledger_that_is_taken_away_in_the_midst_and_put_back_misses_nothing(project: Path):
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


def test_a_ledger_that_was_made_anew_gets_the_beginning_of_the_run_again(project: Path):
    ledger, _ = place(project)
    with assay.run("train") as run:
        run.flush()
        for file in ledger.parent.glob("ledger.db*"):
            file.unlink()
        open_ledger(ledger).close()
        assay.log_metric("loss", 1, step=1)
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


def test_a_disk_that_is_full_for_the_ledger_loses_nothing(project: Path):
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


def test_a_line_that_was_cut_is_left_out_and_a_broken_one_is_an_error(project: Path):
    ledger, folder = place(project)
    with assay.run("first"):
        pass
    with locked(ledger), assay.run("second") as run:
        assay.log_metric("loss", 5)
    (left,) = spool.files(folder)
    with left.open("ab") as handle:
        handle.write(b'{"sender": "x", "num')
    assert sent(project).sent == (run.id,)
    left.write_bytes(b'{"to": "%s"}\n{"sender": 1}\n' % str(ledger).encode())
    with pytest.raises(assay.Error, match=r"jsonl:2: this is no batch"):
        sent(project)
    assert left.exists()


def test_a_place_that_never_works_is_an_error_at_the_beginning(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    (project / "text.txt").write_text("no ledger")
    monkeypatch.setenv("ASSAY_LEDGER", str(project / "text.txt"))
    with pytest.raises(assay.Error, match="not a ledger of Assay"), assay.run():
        pass
    assert not spool.files(place(project)[1])
    assert (project / "text.txt").read_text() == "no ledger"


def test_what_is_refused_comes_up_at_the_end_at_the_latest(project: Path):
    from assay.ledger.writer import Writer

    with (  # noqa: PT012 -- the block is what is tested
        pytest.raises(assay.Error, match="parameter 'lr' of the run is '1' already") as raised,
        assay.run() as run,
    ):
        with open_ledger(place(project)[0]) as other:
            Writer(other).log_params(run.id, {"lr": 1})
        assay.log_param("lr", 2)
        assay.log_metric("loss", 1)
    assert "begin a run of its own" in str(raised.value)
    with open_ledger(place(project)[0]) as opened:
        found = runs.get(opened, run.id)
    assert (found.status, found.params) == ("finished", {"lr": 1})
    assert found.metrics["loss"].value == 1


def test_a_parameter_of_another_value_is_an_error_at_once(project: Path):
    with assay.run() as run:
        assay.log_param("lr", 0.1)
        assay.log_param("lr", "0.1")
        with pytest.raises(assay.Error, match=r"'0\.1' already; it cannot become '0\.2'"):
            assay.log_params({"lr": 0.2, "seed": 1})
    with open_ledger(place(project)[0]) as opened:
        assert runs.get(opened, run.id).params == {"lr": 0.1}
