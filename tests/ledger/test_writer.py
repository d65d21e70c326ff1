"""Writing a run: what it was given and made comes back as it was, or not at all."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from assay.base.errors import Error, NotFound
from assay.ledger import lineage, process, runs, tables, values
from assay.ledger.database import Ledger
from assay.ledger.environment import capture
from assay.ledger.writer import Artifact, Code, Data, Untracked, Writer

scalars = st.one_of(st.none(), st.booleans(), st.integers(), st.text(), st.floats(allow_nan=False))


def test_a_run_comes_back_as_it_was_written(ledger: Ledger, writer: Writer):
    untracked = Untracked(path="new.py", oid="sha256:1", size=3, is_executable=True)
    code = Code(
        commit="c0ffee", branch="main", diff="sha256:2", untracked=(untracked,), reproducible=True
    )
    environment = capture()
    parent = writer.start_run(name="repro", kind="pipeline", at=10)
    run = writer.start_run(
        name="train",
        kind="stage",
        experiment="churn",
        parent=parent,
        stage="train",
        command="python train.py",
        directory=".",
        code=code,
        environment=environment,
        owner="ada",
        at=20,
    )
    data = Data(path="data", oid="md5:ab.dir", size=3, n_files=2, profile="sha256:5")
    writer.log_params(run, {"lr": 0.1, "layers": [8, 8]})
    writer.add_inputs(run, [data])
    writer.add_outputs(run, [Data(path="m", oid="md5:cd", kind="out", details={"a": 1})])
    writer.add_artifact(run, "plot.svg", "sha256:3", 9)
    writer.set_tags(run, {"team": "a"})
    writer.set_tags(run, {"team": "b"})
    writer.finish_run(run, status="failed", at=50, exit_status=2, peak_memory=7, log_tail="oh")
    found = runs.get(ledger, run)
    assert (found.parent, found.experiment, found.stage) == (parent, "churn", "train")
    assert (found.code, found.environment) == (code, environment)
    assert found.params == {"lr": 0.1, "layers": [8, 8]}
    assert found.inputs == (data,)
    assert found.outputs[0].details == {"a": 1}
    assert found.artifacts == (Artifact(path="plot.svg", oid="sha256:3", size=9),)
    assert found.tags == {"team": "b"}
    assert (found.status, found.start, found.end, found.seconds) == ("failed", 20, 50, 0.03)
    assert (found.exit_status, found.peak_memory, found.log_tail) == (2, 7, "oh")
    assert (found.owner, found.pid, found.host) == ("ada", os.getpid(), process.host())
    assert runs.get(ledger, parent).children == (run,)


def test_a_run_is_there_for_others_before_its_start_returns(ledger: Ledger, writer: Writer):
    run = writer.start_run(name="a", kind="script")
    code = """if True:
        import sqlalchemy, sys
        where = sys.argv[1] if "://" in sys.argv[1] else f"sqlite:///{sys.argv[1]}"
        with sqlalchemy.create_engine(where).connect() as connection:
            print(connection.exec_driver_sql("SELECT id, status FROM run").all())
    """
    said = subprocess.run(
        [sys.executable, "-c", code, ledger.where], capture_output=True, text=True, check=True
    )
    assert said.stdout.strip() == str([(run, "running")])


@given(st.one_of(scalars, st.lists(scalars, max_size=3), st.dictionaries(st.text(), scalars)))
def test_the_value_of_a_parameter_comes_back_as_it_was(value: object):
    assert values.load(*values.dump(value)) == value


def test_a_parameter_keeps_its_first_value(ledger: Ledger, writer: Writer, run: str):
    writer.log_params(run, {"lr": 0.1})
    writer.log_params(run, {"lr": "0.1", "seed": 1})
    with pytest.raises(Error, match=r"'lr' .* is '0\.1' already; it cannot become '0\.2'"):
        writer.log_params(run, {"depth": 3, "lr": 0.2})
    assert runs.get(ledger, run).params == {"lr": 0.1, "seed": 1}


def test_of_a_parameter_that_is_no_value_the_text_is_kept(
    ledger: Ledger, writer: Writer, run: str
):
    writer.log_params(run, {"part": slice(1, 2), "steps": [("scale", slice(3))]})
    texts = {"part": "slice(1, 2, None)", "steps": "[('scale', slice(None, 3, None))]"}
    assert runs.get(ledger, run).params == texts


def test_a_run_ends_once(ledger: Ledger, writer: Writer, run: str):
    writer.finish_run(run, status="finished", at=2_000)
    writer.finish_run(run, status="finished", at=3_000)
    with pytest.raises(Error, match="has finished already"):
        writer.finish_run(run, status="failed", at=4_000)
    assert runs.get(ledger, run).end == 2_000


def test_what_no_database_keeps_is_a_sign_in_the_last_lines(
    ledger: Ledger, writer: Writer, run: str
):
    """A command may print a null character, or bytes that are no text."""
    writer.finish_run(run, status="failed", log_tail="a\0b caf\udce9\n")
    assert runs.get(ledger, run).log_tail == "a\ufffdb caf\ufffd\n"


def test_a_part_of_a_run_that_is_not_there_is_an_error(ledger: Ledger, writer: Writer):
    with pytest.raises(NotFound, match="no run 'nobody'"):
        writer.start_run(name="a", kind="stage", parent="nobody", experiment="new")
    with ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM experiment").scalar() == 1


def test_the_same_environment_is_kept_once(ledger: Ledger, writer: Writer):
    for _ in range(2):
        writer.start_run(name="a", kind="script", environment=capture())
    with ledger.read() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM environment").scalar() == 1


def test_data_leads_from_what_was_read_to_what_was_written(ledger: Ledger, writer: Writer):
    run = writer.start_run(name="a", kind="stage", code=Code(commit="c0"), at=1)
    for _ in range(2):  # a second time changes nothing
        writer.add_inputs(run, [Data(path="raw", oid="md5:ab")], at=2)
        writer.add_outputs(run, [Data(path="clean", oid="md5:cd")], at=3)
    writer.add_edge(f"run:{run}", "made", "bundle:sha256:1", at=4)
    (read,) = lineage.edges_from(ledger, "data:md5:ab")
    assert (read.relation, read.target) == ("read_by", f"run:{run}")
    assert [edge.target for edge in lineage.edges_from(ledger, read.target)] == [
        "data:md5:cd",
        "bundle:sha256:1",
    ]
    assert [edge.source for edge in lineage.edges_to(ledger, f"run:{run}")] == [
        "commit:c0",
        "data:md5:ab",
    ]


def test_a_data_set_stays_one_when_another_process_opens_its_file(ledger: Ledger, writer: Writer):
    run = writer.start_run(name="a", kind="script")
    opened = Data(path="a.csv", oid="md5:ab", size=3)
    logged = Data(path="a.csv", oid="md5:ab", kind="dataset", context="train", details={"a": 1})
    whole = msgspec.structs.replace(logged, size=3)
    for found in (opened, logged, opened):
        writer.add_inputs(run, [found])
    assert runs.get(ledger, run).inputs == (whole,)
    writer.add_inputs(run, [msgspec.structs.replace(logged, context="eval", details=None)])
    assert runs.get(ledger, run).inputs == (msgspec.structs.replace(whole, context="eval"),)


@pytest.mark.parametrize("reaped", [False, True])
def test_a_killed_process_has_its_runs_marked_killed(
    ledger: Ledger, writer: Writer, reaped: bool, tmp_path: Path
):
    code = """if True:
        import sys, time
        from assay.ledger.database import open_ledger
        from assay.ledger.writer import Writer
        writer = Writer(open_ledger(sys.argv[1]))
        print(writer.start_run(name="doomed", kind="pipeline"), flush=True)
        time.sleep(600)
    """
    with subprocess.Popen(
        [sys.executable, "-c", code, ledger.where], stdout=subprocess.PIPE, text=True
    ) as doomed:
        assert doomed.stdout is not None
        run = doomed.stdout.readline().strip()
        child = writer.start_run(name="part", kind="script", parent=run)
        with ledger.write() as connection:  # of MLflow's kind: no process says that it lives
            nobody = dict.fromkeys(["host", "boot", "pid", "process_start", "seen"])
            connection.execute(tables.run.update().where(tables.run.c.id == child), nobody)
        lives = writer.start_run(name="lives", kind="script", parent=run)
        mine = writer.start_run(name="mine", kind="script")
        assert writer.mark_killed(at=1) == []
        doomed.send_signal(signal.SIGKILL)
        if reaped:
            doomed.wait()
        else:
            os.waitid(os.P_PID, doomed.pid, os.WEXITED | os.WNOWAIT)  # a zombie now
        assert writer.mark_killed(at=2) == [run, child]
    assert writer.mark_killed(at=3) == []
    found = runs.get(ledger, run)
    assert (found.status, found.end) == ("killed", 2)
    assert "is gone" in (found.reason or "")
    assert runs.get(ledger, child).reason == "the run that it is a part of was killed"
    for one in (lives, mine):  # their process is this one
        assert runs.get(ledger, one).status == "running"


@pytest.mark.parametrize("column", ["boot", "process_start"])
def test_another_process_under_the_same_id_does_not_keep_a_run_alive(
    ledger: Ledger, writer: Writer, run: str, column: str
):
    with ledger.write() as connection:
        connection.exec_driver_sql(f"UPDATE run SET {column} = 'another'")
    assert writer.mark_killed(at=2) == [run]


def test_a_run_of_another_host_is_left_alone(ledger: Ledger, writer: Writer, run: str):
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE run SET host = 'elsewhere', boot = 'another'")
    assert writer.mark_killed(at=2) == []


def test_a_run_that_was_taken_for_dead_may_still_finish(ledger: Ledger, writer: Writer, run: str):
    with ledger.write() as connection:
        connection.exec_driver_sql("UPDATE run SET boot = 'another'")
    writer.mark_killed(at=2)
    writer.finish_run(run, status="finished", at=3)
    assert runs.get(ledger, run).status == "finished"
