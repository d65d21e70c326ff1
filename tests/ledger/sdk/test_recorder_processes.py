"""Processes that a script starts inside its run log to that run, however they are started."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

import assay
from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.ledger.sdk import channels, inherited, places
from assay.ledger.sdk.active import ActiveRun
from tests import make, mlflow

POOL = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import assay


def work(number):
    assay.log_metric("loss", number, step=number)
    if number % 4 == 0:
        with assay.run(f"part {number}", params={"number": number}):
            assay.log_metric("inner", number)
            assay.log_text(str(number), "note.txt")
    assay.log_metric("late", number, step=number)


if __name__ == "__main__":
    context = get_context(sys.argv[1])
    for name in sys.argv[2:]:
        with assay.run(name) as run, ProcessPoolExecutor(2, mp_context=context) as pool:
            list(pool.map(work, range(8)))
"""
METHODS = ("fork", "spawn", "forkserver")


@pytest.fixture
def ledger(project: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Ledger]:
    monkeypatch.chdir(project)
    with open_ledger(project / ".assay" / "ledger.db") as opened:
        yield opened
    channels._channels.clear()


def call(project: Path, *arguments: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error", *arguments],
        cwd=project,
        env={**os.environ, "ASSAY_RUN_SYSTEM_METRICS": "false", **environment},
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def has_all(ledger: Ledger, name: str) -> None:
    (found,) = [row for row in runs.list_(ledger) if row.name == name]
    run = runs.get(ledger, found.id)
    assert run.status == "finished"
    for key in ("loss", "late"):
        assert sorted(p.step for p in runs.history(ledger, run.id, key)) == [*range(8)]
    parts = [runs.get(ledger, child) for child in run.children]
    assert sorted(part.name for part in parts) == ["part 0", "part 4"]
    for part in parts:
        assert (part.status, set(part.metrics)) == ("finished", {"inner"})
        assert [one.path for one in part.artifacts] == ["note.txt"]


@pytest.mark.parametrize("method", METHODS)
def test_workers_of_a_pool_log_to_the_run_that_it_is_in(
    project: Path, ledger: Ledger, method: str
):
    make.write(project, {"train.py": POOL})
    call(project, "train.py", method, "first", "second")
    assert len(runs.list_(ledger)) == 2
    for name in ("first", "second"):  # a server of forks began with the first one
        has_all(ledger, name)


ENDED = """
import multiprocessing, sys
import assay


def work(number):
    assay.log_param(f"p{number}", number)
    for step in range(3):
        assay.log_metric("w", number, step=step + 3 * number)


if __name__ == "__main__":
    with assay.run(), multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
        pool.map(work, range(8))
"""


@pytest.mark.parametrize("method", METHODS)
def test_nothing_is_lost_when_a_pool_kills_its_workers_at_its_end(
    project: Path, ledger: Ledger, method: str
):
    make.write(project, {"train.py": ENDED})
    call(project, "train.py", method)
    run = runs.get(ledger, "latest")
    assert run.status == "finished"
    assert run.params == {f"p{number}": number for number in range(8)}
    assert sorted(point.step for point in runs.history(ledger, run.id, "w")) == [*range(24)]
    assert not list((project / ".assay" / "spool").glob("*"))


REUSED = """
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from joblib import Parallel, delayed
import assay


def work(number, step):
    assay.log_metric("score", number, step=step)
    with assay.run("part"):
        assay.log_metric("inner", number)


if __name__ == "__main__":
    if sys.argv[1] == "joblib":  # its workers live as long as the script
        for number in range(3):
            with assay.run(str(number)):
                Parallel(n_jobs=2)(delayed(work)(number, step) for step in range(2))
    else:
        with ProcessPoolExecutor(2, mp_context=get_context(sys.argv[1])) as pool:
            for number in range(3):
                with assay.run(str(number)):
                    list(pool.map(work, [number] * 2, range(2)))
"""


@pytest.mark.parametrize("method", ["joblib", *METHODS])
def test_a_worker_that_is_used_again_logs_to_the_run_that_its_task_is_done_in(
    project: Path, ledger: Ledger, method: str
):
    make.write(project, {"train.py": REUSED})
    call(project, "train.py", method)
    found = {row.name: runs.get(ledger, row.id) for row in runs.list_(ledger)}
    assert sorted(found) == ["0", "1", "2"]
    for name, run in found.items():
        points = [(p.step, p.value) for p in runs.history(ledger, run.id, "score")]
        assert sorted(points) == [(0, float(name)), (1, float(name))]
        parts = [runs.get(ledger, child) for child in run.children]
        assert [part.metrics["inner"].value for part in parts] == [float(name)] * 2


LATE = """
import subprocess, sys
import assay

if __name__ == "__main__":
    with assay.run("first"):
        late = subprocess.Popen([sys.executable, "late.py"], stdin=subprocess.PIPE)
    with assay.run("second"):
        late.communicate(b"go on")
"""


def test_a_program_that_outlives_its_run_logs_to_that(project: Path, ledger: Ledger):
    program = "import assay, sys\nsys.stdin.read()\nassay.log_metric('late', 1)\n"
    make.write(project, {"train.py": LATE, "late.py": program})
    call(project, "train.py")
    found = {row.name: runs.get(ledger, row.id).metrics for row in runs.list_(ledger)}
    assert {name: set(metrics) for name, metrics in found.items()} == {
        "first": {"late"}, "second": set(),
    }  # fmt: skip


def test_workers_log_to_the_run_where_it_is_recorded_by_a_hub(project: Path, tmp_path: Path):
    (tmp_path / "team").mkdir()
    make.write(project, {"train.py": POOL})
    with mlflow.hub(tmp_path / "team", env={"ASSAY_TOKEN": "secret-of-the-team"}) as hub:
        call(
            project,
            "train.py",
            "spawn",
            "first",
            ASSAY_HUB=hub.url,
            ASSAY_TOKEN="secret-of-the-team",
        )
    assert not (project / ".assay" / "ledger.db").exists()
    (where,) = (tmp_path / "team" / "hub").rglob("*.db")
    with open_ledger(where) as kept:
        has_all(kept, "first")


OUTER = """
import os, subprocess, sys
import assay

def child(*arguments, **environment):
    subprocess.run([sys.executable, *arguments], check=True, env={**os.environ, **environment})

with assay.run("outer"):
    child("plain.py", "a")
    with assay.run("inner"):
        child("plain.py", "b")
        child("own.py", "c")
    child("own.py", "d")
    child("plain.py", "e")
    child("own.py", "f", ASSAY_LEDGER="other.db")
child("own.py", "g")
"""
PLAIN = "import assay, sys\nassay.log_metric(sys.argv[1], 1)\n"
OWN = "import assay, sys\nwith assay.run(sys.argv[1]): assay.log_metric('own', 1)\n"


def test_a_program_that_is_started_in_a_run_belongs_to_the_innermost_one(
    project: Path, ledger: Ledger
):
    make.write(project, {"outer.py": OUTER, "plain.py": PLAIN, "own.py": OWN})
    call(project, "outer.py")
    outer, alone = sorted(runs.list_(ledger), key=lambda row: row.id)
    assert (outer.name, alone.name) == ("outer", "g")
    found = runs.get(ledger, outer.id)
    assert set(found.metrics) == {"a", "e"}
    inner, d = (runs.get(ledger, child) for child in found.children)
    assert (inner.name, set(inner.metrics), d.name) == ("inner", {"b"}, "d")
    (c,) = (runs.get(ledger, child) for child in inner.children)
    assert (c.name, c.status, set(c.metrics)) == ("c", "finished", {"own"})
    with open_ledger(project / "other.db", create=False) as other:
        (f,) = runs.list_(other, top_level=False)
        assert (f.name, f.parent) == ("f", None)


def test_a_stage_that_is_run_from_inside_a_run_has_a_run_of_its_own(project: Path, ledger: Ledger):
    make.write(
        project,
        {
            "outer.py": "import assay, subprocess, sys\nwith assay.run('outer'):\n"
            "    subprocess.run([sys.executable, '-m', 'assay', 'repro', '-q'], check=True)\n"
            "    assay.log_metric('own', 1)\n",
            "dvc.yaml": "stages:\n  a:\n    cmd: python plain.py staged\n    deps: [plain.py]\n",
            "plain.py": PLAIN,
        },
    )
    call(project, "outer.py")
    (outer,) = [row for row in runs.list_(ledger) if row.kind == "script"]
    assert set(runs.get(ledger, outer.id).metrics) == {"own"}
    (stage,) = runs.list_(ledger, kind="stage", top_level=False)
    assert set(runs.get(ledger, stage.id).metrics) == {"staged"}


REFUSED = """
import multiprocessing, sys
import assay

def work():
    assay.log_param("lr", 2)
    assay.log_metric("loss", 1)

if __name__ == "__main__":
    with assay.run(params={"lr": 1}) as run:
        run.flush()
        worker = multiprocessing.get_context("spawn").Process(target=work)
        worker.start()
        worker.join()
        sys.exit(worker.exitcode)
"""


def test_what_is_refused_of_a_worker_is_said_at_its_end(project: Path, ledger: Ledger):
    make.write(project, {"train.py": REFUSED})
    command = [sys.executable, "-W", "error", "train.py"]
    done = subprocess.run(command, cwd=project, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "a part of a run was not recorded: " in done.stderr
    assert "parameter 'lr' of the run is '1' already; it cannot become '2'" in done.stderr
    found = runs.get(ledger, "latest")
    assert (found.params, found.metrics["loss"].value) == ({"lr": 1}, 1)


def test_a_program_is_not_told_where_the_ledger_is_since_that_may_hold_a_password(
    project: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(project)
    monkeypatch.setenv("ASSAY_RUN_SYSTEM_METRICS", "false")
    (project / "secret").mkdir()
    make.done(project, "config", "ledger.url", f"sqlite:///{project}/secret/ledger.db")
    with assay.run():
        assert "secret" not in os.environ["ASSAY_ACTIVE_RUN"]
        (project / "elsewhere").mkdir()
        script = "import assay\nassay.log_metric('theirs', 1)"
        subprocess.run([sys.executable, "-c", script], cwd=project / "elsewhere", check=True)
    with open_ledger(project / "secret" / "ledger.db", create=False) as ledger:
        assert set(runs.get(ledger, "latest").metrics) == {"theirs"}
    channels._channels.clear()


def test_what_is_told_to_processes_is_taken_back(ledger: Ledger):
    before = dict(os.environ)
    with assay.run() as outer:
        told = os.environ["ASSAY_ACTIVE_RUN"]
        assert outer.id in told
        with assay.run() as inner:
            assert inner.id in os.environ["ASSAY_ACTIVE_RUN"]
        assert os.environ["ASSAY_ACTIVE_RUN"] == told
    assert dict(os.environ) == before


def test_what_is_no_run_in_the_variable_is_no_run(project: Path, ledger: Ledger):
    for odd in ("", "x", "{}", '{"run": 5}'):
        done = subprocess.run(
            [sys.executable, "-c", PLAIN, "a"],
            cwd=project,
            env={**os.environ, "ASSAY_ACTIVE_RUN": odd},
            capture_output=True,
            text=True,
            check=False,
        )
        assert "no run is active" in done.stderr


def test_a_program_records_to_the_hub_of_its_run_where_the_clone_has_another_place(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    make.commit(project)
    tree = tmp_path / "tree"
    make.git(project, "worktree", "add", "-q", str(tree), "-b", "loop")
    make.write(tree, {"assay.yaml": "settings:\n  hub:\n    url: http://127.0.0.1:1\n"})
    monkeypatch.chdir(tree)
    place = places.find(places.find_project())
    script = "from assay.ledger.sdk import inherited; print(inherited.find().place.where)"
    try:
        inherited.tell(ActiveRun("r", place=place))
        assert (call(tree, "-c", script), place.where) == ("http://127.0.0.1:1\n", place.where)
        secret = msgspec.structs.replace(place, where="http://ada:secret@127.0.0.1:1")
        inherited.tell(ActiveRun("r", place=secret))
        assert "secret" not in os.environ["ASSAY_ACTIVE_RUN"]
    finally:
        inherited.tell(None)
        channels._channels.clear()
