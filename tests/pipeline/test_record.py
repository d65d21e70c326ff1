"""What a `repro` leaves in the ledger."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import runs
from assay.ledger.database import Ledger, open_ledger
from assay.pipeline import record
from tests import make, stages


@contextmanager
def ledger(folder: Path) -> Iterator[Ledger]:
    with open_ledger(folder / ".assay" / "ledger.db", create=False) as found:
        yield found


def latest(folder: Path) -> tuple[runs.Run, dict[str, runs.Run]]:
    """Return the newest run, and those of its stages."""
    with ledger(folder) as found:
        run = runs.get(found, "latest")
        children = [runs.get(found, child) for child in run.children]
    return run, {child.stage or "": child for child in children}


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three stages that ran in a tree with uncommitted changes and an untracked file."""
    folder, _ = stages.three(tmp_path_factory.mktemp("ran"))
    make.write(folder, {"params.yaml": "lr: 0.3\nseed: 7\n", "notes.txt": "mine\n"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "2")
        make.done(folder, "repro")
    return folder


def test_a_repro_is_a_run_with_a_child_for_each_stage_that_ran(ran: Path):
    run, children = latest(ran)
    assert (run.kind, run.status, run.name, run.command) == (
        "pipeline", "finished", "project", "assay repro",
    )  # fmt: skip
    assert list(children) == ["prep", "train", "evaluate"]
    for child in children.values():
        assert (child.kind, child.status, child.exit_status) == ("stage", "finished", 0)
        assert child.parent == run.id
        assert child.directory == "."
        assert child.end is not None
        assert run.start <= child.start <= child.end


def test_the_code_is_commit_changes_and_untracked_files(ran: Path):
    run, _ = latest(ran)
    assert run.code.commit == make.git(ran, "rev-parse", "HEAD").strip()
    assert (run.code.branch, run.code.reproducible, run.code.reason) == ("main", True, None)
    kept = ran / ".assay" / "objects" / "sha256"

    def content(oid: str | None) -> str:
        digest = (oid or "").removeprefix("sha256:")
        return (kept / digest[:2] / digest[2:]).read_text()

    assert "-lr: 0.1\n+lr: 0.3\n" in content(run.code.diff)
    assert [(one.path, content(one.oid)) for one in run.code.untracked] == [
        ("notes.txt", "mine\n"),
    ]  # fmt: skip


def test_commands_parameters_data_and_metrics_are_recorded(ran: Path):
    run, children = latest(ran)
    assert (children["evaluate"].command or "").startswith("echo evaluate >> ")
    assert (children["evaluate"].command or "").count("\n") == 1
    assert children["train"].params == run.params == {"lr": 0.3, "seed": 7}
    assert children["prep"].params == {}
    lock = stages.locked(ran)
    for name, child in children.items():
        for direction, rows in (("deps", child.inputs), ("outs", child.outputs)):
            expected = [(r["path"], f"md5:{r['md5']}", r["size"]) for r in lock[name][direction]]
            assert [(one.path, one.oid, one.size) for one in rows] == expected
    assert [one.path for one in run.inputs] == ["data.csv"]
    assert [one.path for one in run.outputs] == ["clean.csv", "metrics.json", "model.txt"]
    size = json.loads((ran / "metrics.json").read_text())["size"]
    assert children["evaluate"].metrics["size"].value == size == run.metrics["size"].value
    assert children["evaluate"].outputs[0].kind == "metric"


def test_environment_processor_threads_and_seeds_are_recorded(ran: Path):
    run, children = latest(ran)
    assert run.environment is not None
    software, host = run.environment.software, run.environment.host
    assert software.python == ".".join(map(str, sys.version_info[:3]))
    assert any(package.startswith("sqlalchemy==") for package in software.packages)
    assert host.cores >= 1
    assert host.cpu
    assert host.threads == {"OMP_NUM_THREADS": "2"}
    assert children["train"].tags == {"seed.params": "seed=7"}


def test_resources_and_the_last_lines_are_recorded(tmp_path: Path):
    python = f"{sys.executable} -S -c 'x = bytearray(200_000_000)'"
    text = f'stages:\n  large:\n    cmd: "seq 500; {python}; echo last >&2"\n'
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "config", "run.log_tail", "3")
    # by a small process: Linux counts the one that starts a command in, and pytest's is large
    assert make.process(folder, "repro").code == 0
    child = latest(folder)[1]["large"]
    assert child.peak_memory is not None
    assert 180e6 < child.peak_memory < 400e6
    assert child.cpu_seconds is not None
    assert child.cpu_seconds > 0
    assert child.log_tail == "499\n500\nlast\n"


READS_ITS_ROW = """
import json, os, sqlite3
with sqlite3.connect(os.environ["ASSAY_LEDGER"]) as ledger:
    query = "select status, command, stage from run order by stage"
    rows = ledger.execute(query).fetchall()
    named = ledger.execute("select stage from run where id = ?", [os.environ["ASSAY_RUN"]])
    assert named.fetchall() == [("reads",)]
    params = ledger.execute("select key, value from param").fetchall()
    inputs = ledger.execute("select path, oid from run_data").fetchall()
open("seen.json", "w").write(json.dumps([rows, params, inputs]))
"""


def test_the_row_with_all_that_a_stage_runs_on_is_there_before_its_command(tmp_path: Path):
    text = f"""
stages:
  reads:
    cmd: {sys.executable} -S reads.py
    deps: [reads.py]
    params: [k]
    outs: [seen.json]
"""
    files = {"reads.py": READS_ITS_ROW, "params.yaml": "k: 1\n"}
    folder = stages.pipeline(tmp_path / "project", text, files)
    make.done(folder, "repro")
    rows, params, inputs = json.loads((folder / "seen.json").read_text())
    assert [row[0] for row in rows] == ["running", "running"]
    assert rows[1][1:] == [f"{sys.executable} -S reads.py", "reads"]
    assert params == [["k", "1"]]
    assert inputs == [["reads.py", f"md5:{stages.locked(folder)['reads']['deps'][0]['md5']}"]]


def test_the_sdk_in_a_stage_logs_to_the_stages_run_with_history(tmp_path: Path):
    script = """
import assay
for step, loss in enumerate([3.0, 2.0, 1.5]):
    assay.log_metric("loss", loss, step=step)
with assay.run("ignored", params={"depth": 3}) as run:
    run.log_metric("acc", 0.9)
"""
    text = f"""
stages:
  train:
    cmd: |
      {sys.executable} train.py
      echo '{{"f1": 0.5}}' > m.json
    deps: [train.py]
    metrics: [m.json]
"""
    folder = stages.pipeline(tmp_path / "project", text, {"train.py": script})
    make.done(folder, "repro")
    run, children = latest(folder)
    values = {key: one.value for key, one in children["train"].metrics.items()}
    assert values == {"loss": 1.5, "acc": 0.9, "f1": 0.5}
    assert {key: one.value for key, one in run.metrics.items()} == values
    assert children["train"].params == {"depth": 3}
    with ledger(folder) as found:
        points = runs.history(found, children["train"].id, "loss")
        every = runs.list_(found, top_level=False)
    assert [(one.step, one.value) for one in points] == [(0, 3.0), (1, 2.0), (2, 1.5)]
    assert len(every) == 2


@pytest.mark.parametrize(
    ("cmd", "reason", "exit_status"),
    [
        ("echo before; exit 7", "'echo before; exit 7' failed with exit status 7", 7),
        ("kill -KILL $$", "'kill -KILL $$' was ended by signal 9", -9),
        ("echo no output", "the command ended well but did not write its output 'out'", 0),
    ],
)
def test_a_failing_stage_is_recorded_with_its_reason(
    tmp_path: Path, cmd: str, reason: str, exit_status: int
):
    text = f"stages:\n  bad:\n    cmd: {cmd}\n    outs: [out]\n"
    folder = stages.pipeline(tmp_path / "project", text)
    assert make.assay(folder, "repro").code == 255
    run, children = latest(folder)
    assert (run.status, run.reason) == ("failed", reason)
    assert (children["bad"].status, children["bad"].reason) == ("failed", reason)
    assert children["bad"].exit_status == exit_status
    if "before" in cmd:
        assert children["bad"].log_tail == "before\n"
        assert "\n  before\n" in make.done(folder, "runs", "show", children["bad"].id)


def test_a_plan_is_kept_with_what_ran_and_what_did_not(tmp_path: Path):
    folder, _ = stages.three_ran(tmp_path)
    make.write(folder, {"params.yaml": "lr: 0.3\nseed: 7\n"})
    make.done(folder, "repro", "evaluate")
    run, children = latest(folder)
    assert list(children) == ["train", "evaluate"]
    (artifact,) = run.artifacts
    assert artifact.path == record.PLAN
    oid = artifact.oid.removeprefix("sha256:")
    content = (folder / ".assay/objects/sha256" / oid[:2] / oid[2:]).read_bytes()
    plan = record.load(content, where="the plan")
    assert record.dump(plan) == content
    assert plan.targets == ("evaluate",)
    assert [(step.address, step.state) for step in plan.steps] == [
        ("prep", "unchanged"), ("train", "ran"), ("evaluate", "ran"),
    ]  # fmt: skip
    assert plan.steps[1].run == children["train"].id


def test_parameters_of_other_files_are_named_by_file_and_do_not_clash(tmp_path: Path):
    text = """
stages:
  here:
    cmd: echo 1 > a
    params: [lr, {c.json: [net.depth]}]
    outs: [a]
  there:
    wdir: w
    cmd: echo 1 > b
    params: [lr]
    outs: [b]
"""
    files = {
        "params.yaml": "lr: 1\n",
        "w/params.yaml": "lr: 2\n",
        "c.json": '{"net": {"depth": 3}}',
    }
    folder = stages.pipeline(tmp_path / "project", text, files)
    make.done(folder, "repro")
    assert latest(folder)[0].params == {"lr": 1, "c.json:net.depth": 3, "w/params.yaml:lr": 2}


ODD = {
    "params.yaml": """\
day: 2020-01-31
moment: 2001-12-14t21:59:43-05:00
nan: .nan
low: -.inf
large: 99999999999999999999999
classes: {0: cat, 10: dog, 2: bird}
mixed: {0: a, b: c}
1: one
"a b": "two\\nlines"
none:
""",
    "c.toml": "day = 2020-01-31\n",
    "dvc.yaml": """
stages:
  odd:
    cmd: cp m.txt m.json
    deps: [m.txt]
    params: [{params.yaml: }, {c.toml: [day]}]
    metrics: [m.json]
""",
    "m.txt": '{"": 1, "a b": 2, "nan": NaN, "huge": 1'
    + 400 * "0"
    + ', "flag": true, "x": "text"}',
}


def test_any_parameter_and_metric_that_a_file_can_hold_is_recorded_and_reproduced(tmp_path: Path):
    folder = make.write(make.project(tmp_path / "project"), ODD)
    make.commit(folder)
    assert "warning" not in make.done(folder, "repro")
    assert "day: '2020-01-31'" in stages.lock(folder)
    run, children = latest(folder)
    assert run.params["day"] == run.params["c.toml:day"] == "2020-01-31"
    assert run.params["large"] == 99999999999999999999999
    assert run.params["classes.10"] == "dog"
    assert set(children["odd"].metrics) == {"a b", "nan", "flag"}
    assert make.assay(folder, "reproduce").code == 0
    status = json.loads(make.done(folder, "status", "--json"))
    assert status == {"odd": [{"changed deps": {"params.yaml": {"nan": "modified"}}}]}  # as in DVC
    assert "Running" not in make.done(folder, "repro")


def test_a_value_that_no_lock_can_hold_is_refused(tmp_path: Path):
    text = "stages: {a: {cmd: echo 1, params: [{p.py: [GOOD, BAD]}]}}"
    folder = stages.pipeline(tmp_path / "project", text, {"p.py": "GOOD = (1, 2)\nBAD = {1, 2}\n"})
    shown = make.assay(folder, "repro")
    assert shown.code == 255
    assert "error: p.py: BAD: a value is a set, which a lock cannot hold" in shown.err


def test_a_stage_whose_record_cannot_be_written_is_not_left_running(tmp_path: Path):
    text = "stages: {b: {cmd: echo 1 > o; mkdir dvc.lock, outs: [o]}}"
    folder = stages.pipeline(tmp_path / "project", text)
    assert make.assay(folder, "repro").code == 255
    run, children = latest(folder)
    assert (run.status, children["b"].status) == ("failed", "failed")
    assert children["b"].reason


def test_a_repro_that_runs_nothing_opens_no_ledger(ran: Path):
    path = ran / ".assay" / "ledger.db"
    before = {p.name: p.read_bytes() for p in path.parent.glob("ledger.db*")}
    script = """
import sys
from assay.cli import run
code = run(["repro", "--json"])
print(sorted(set(sys.modules) & {"sqlalchemy", "duckdb", "numpy", "alembic"}), file=sys.stderr)
sys.exit(code)
"""
    for _ in range(2):  # the first may read files of the very moment again
        done = subprocess.run(
            [sys.executable, "-c", script], cwd=ran, check=True, capture_output=True, text=True
        )
    assert done.stderr == "[]\n"
    document: dict[str, Any] = json.loads(done.stdout)
    assert (document["run"], document["n_hashed"]) == (None, 0)
    assert {p.name: p.read_bytes() for p in path.parent.glob("ledger.db*")} == before


def test_a_restored_pipeline_records_nothing(tmp_path: Path):
    folder, _ = stages.three_ran(tmp_path)
    before, _ = latest(folder)
    (folder / "model.txt").unlink()
    make.done(folder, "repro")
    assert latest(folder)[0].id == before.id


def test_runs_are_listed_shown_and_compared(ran: Path, tmp_path: Path):
    folder = shutil.copytree(ran, tmp_path / "project", symlinks=True)
    make.write(folder, {"params.yaml": "lr: 0.25\nseed: 7\n"})
    make.done(folder, "repro")
    listed = json.loads(make.done(folder, "runs", "list", "--json"))
    assert [(one["kind"], one["status"]) for one in listed] == [("pipeline", "finished")] * 2
    assert len(json.loads(make.done(folder, "runs", "list", "--all", "--json"))) == 2 + 5
    shown = make.done(folder, "runs", "show")
    assert "with uncommitted changes (kept)" in shown
    train = latest(folder)[1]["train"]
    assert f"stage train ({train.id[:13]}): finished" in shown
    assert shown.endswith("\n  size = 25\n"), "the metrics of the stage that wrote them"
    assert "lr = 0.25" in shown
    diff = json.loads(make.done(folder, "runs", "diff", "--json"))["diff"]
    assert [(c["key"], c["a"], c["b"]) for c in diff["params"]] == [("lr", 0.3, 0.25)]
    assert [c["key"] for c in diff["outputs"]] == ["metrics.json", "model.txt"]
    text = make.done(folder, "runs", "diff")
    assert "lr" in text
    assert "model.txt: md5:" in text
    unknown = make.assay(folder, "runs", "show", "ffff")
    assert unknown.code == 255
    assert "assay runs list" in unknown.err


def test_the_ledger_is_whole_after_all_this(ran: Path):
    with sqlite3.connect(ran / ".assay" / "ledger.db") as connection:
        assert connection.execute("pragma integrity_check").fetchone() == ("ok",)
        assert connection.execute("pragma foreign_key_check").fetchall() == []
