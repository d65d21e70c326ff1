"""Scripts with `assay.run()`, models, experiments and data from elsewhere, done again."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.ledger import models, runs
from assay.ledger.database import open_ledger
from assay.ledger.writer import Writer
from assay.project import workspace
from tests import make, stages

SCRIPT = """
import sys
from pathlib import Path
import assay

factor = float(sys.argv[1])
with assay.run("first", params={"factor": factor}):
    assay.log_metric("sum", factor * sum(map(int, Path("data.csv").read_text().split())))
with assay.run("second", params={"factor": factor}, tags={"by": "hand"}) as run:
    with assay.run("inner"):
        assay.log_metric("loss", 0.5)
    assay.log_metric("sum", factor + NOISE)
    Path("made.txt").write_text(f"{factor + NOISE}\\n")
    assay.log_artifact("made.txt")
    print(run.id)
"""


def scripted(folder: Path, *, noise: str = "0") -> Path:
    """Make a project with tracked data and a script that was never committed."""
    root = make.write(make.project(folder / "project"), {"data.csv": "1\n2\n"})
    make.done(root, "add", "data.csv")
    make.commit(root)
    return make.write(root, {"sub/search.py": SCRIPT.replace("NOISE", noise)})


def call(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


@pytest.fixture(scope="module")
def _ran(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, str]:
    folder = scripted(tmp_path_factory.mktemp("ran"))
    return folder, call(folder, "sub/search.py", "2")


@pytest.fixture
def ran(_ran: tuple[Path, str], tmp_path: Path) -> tuple[Path, str]:
    """A project whose script ran, to be changed, and its last run."""
    template, id_ = _ran
    return shutil.copytree(template, tmp_path / "project", symlinks=True), id_


def again(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    before = make.snapshot(folder, without=(".git", ".assay", "cache"))
    shown = make.assay(folder, "reproduce", "--json", *arguments)
    assert shown.code == code, shown
    assert make.snapshot(folder, without=(".git", ".assay", "cache")) == before
    found: dict[str, Any] = json.loads(shown.out)
    return found


def test_a_script_is_called_again_with_its_arguments_and_compared(tmp_path: Path):
    folder = scripted(tmp_path)
    id_ = call(folder, "sub/search.py", "2.5")
    (folder / "sub" / "search.py").write_text("raise SystemExit('not this one')\n")
    (folder / "made.txt").unlink()
    (folder / "data.csv").write_text("100\n")
    found = again(folder, id_)
    assert (found["sameness"], found["kind"], found["lost"]) == ("identical", "script", [])
    (part,) = found["stages"]
    assert part["stage"] == "second"
    assert [one["name"] for one in part["outputs"]] == ["made.txt"]
    assert [(m["name"], m["recorded"]) for m in part["metrics"]] == [
        ("inner/loss", "0.5"), ("sum", "2.5"),
    ]  # fmt: skip
    shown = json.loads(make.done(folder, "runs", "show", found["reproduction"], "--json"))
    (child,) = shown["children"]
    assert child["params"] == {"factor": 2.5}
    assert child["tags"] == {"by": "hand"}


def test_of_several_runs_of_one_script_the_one_that_is_meant_is_compared(
    ran: tuple[Path, str],
):
    folder, _ = ran
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        first = next(row for row in runs.list_(ledger) if row.name == "first")
    (part,) = again(folder, first.id)["stages"]
    assert [(m["name"], m["found"]) for m in part["metrics"]] == [("sum", "6.0")]
    with sqlite3.connect(folder / ".assay" / "ledger.db") as db:  # as one of another clone
        db.execute("update run set pid = null, boot = null, process_start = null")
    db.close()
    (part,) = again(folder, f"runs:/{first.id}")["stages"]
    assert [(m["name"], m["found"]) for m in part["metrics"]] == [("sum", "6.0")]


def test_a_script_that_records_another_run_this_time_is_told(ran: tuple[Path, str]):
    folder, id_ = ran
    with sqlite3.connect(folder / ".assay" / "ledger.db") as db:
        db.execute("update run set pid = null, name = 'other' where id = ?", [id_])
    db.close()
    shown = make.assay(folder, "reproduce", id_)
    assert shown.code == 255
    assert "the script began 2 runs this time, and none is that of the record: 'other'" in (
        shown.err
    )


def test_a_script_without_a_seed_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONHASHSEED", "0")  # so that no other one is tried
    folder = scripted(tmp_path, noise="__import__('random').random()")
    id_ = call(folder, "sub/search.py", "1")
    shown = make.assay(folder, "reproduce", id_)
    assert shown.code == 1
    assert "second: differs, NOT deterministic (" in shown.out
    assert f"Run {id_}: DIFFERENT from script 'second' on" in shown.out
    assert "Cause: it gives something else each time it runs" in shown.out


def test_a_script_in_a_folder_of_its_own_finds_the_data_on_a_remote(tmp_path: Path):
    folder = scripted(tmp_path)
    make.done(folder, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.done(folder, "push")
    make.write(folder, {"sub/data.csv": "0\n"})
    id_ = call(folder / "sub", "search.py", "2")
    shutil.rmtree(folder / ".dvc" / "cache")
    (folder / "data.csv").unlink()
    shown = make.assay(folder, "reproduce", id_)
    assert shown.code == 0, shown
    assert "fetched 1 object of the run's data from 'store'" in shown.out
    shutil.rmtree(folder / ".dvc" / "cache")
    shutil.rmtree(tmp_path / "store")
    found = again(folder, id_)
    assert (found["sameness"], found["lost"]) == ("identical", ["data.csv"])


def test_a_script_that_fails_this_time_says_so(ran: tuple[Path, str]):
    folder, id_ = ran
    shutil.rmtree(folder / ".dvc" / "cache")
    before = make.git(folder, "worktree", "list")
    shown = make.assay(folder, "reproduce", id_)
    assert shown.code == 255
    assert "'sub/search.py 2' failed with exit status 1" in shown.err
    assert make.git(folder, "worktree", "list") == before
    latest = json.loads(make.done(folder, "runs", "list", "--json"))[0]
    assert (latest["kind"], latest["status"]) == ("reproduction", "failed")


@pytest.mark.parametrize(
    ("command", "directory", "why"),
    [
        (None, ".", "has no record of what was called"),
        ("-m", ".", "the command of the run cannot be called again: -m"),
        ("a b 'c", ".", "the command of the run cannot be called again: a b 'c"),
        ("/elsewhere/train.py", ".", "the script /elsewhere/train.py lies outside the project"),
        ("train.py", None, "the script ran outside the project"),
    ],
)
def test_what_cannot_be_called_again_is_said_before_anything_is_made(
    tmp_path: Path, command: str | None, directory: str | None, why: str
):
    folder = make.project(tmp_path / "project")
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        id_ = Writer(ledger).start_run(
            name="r", kind="script", command=command, directory=directory
        )
        Writer(ledger).finish_run(id_, status="finished")
    shown = make.assay(folder, "reproduce", id_)
    assert shown.code == 255
    assert why in shown.err
    assert "hint:" in shown.err
    assert not (folder / ".assay" / "worktrees").exists()


def test_a_model_is_done_again_by_the_run_that_made_it(tmp_path: Path):
    folder, side = stages.three_ran(tmp_path)
    bundle = "sha256:" + "ab" * 32
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        whole = runs.get(ledger, "latest")
        train = next(c for c in whole.children if runs.get(ledger, c).stage == "train")
        models.register(ledger, "m", run=train)
        models.register(ledger, "n", source="s3://somewhere")
        models.set_alias(ledger, "m", "production", version=1)
        Writer(ledger).add_edge(f"run:{train}", "made", f"bundle:{bundle}")
        models.register(ledger, "m", bundle=bundle)
    for name in ("m@production", "m/1", "m@1"):
        found = again(folder, name, "--stage", "prep")
        assert (found["run"], found["named"]) == (whole.id, "m@1")
    found = again(folder, "m", code=1)
    assert (found["named"], found["parted"]) == ("m@2", "train")
    (lost,) = [o for o in found["stages"][1]["outputs"] if o["sameness"] == "differs"]
    assert (lost["name"], lost["recorded"], lost["found"]) == ("bundle", bundle, "-")
    assert again(folder, bundle, "--stage", "prep")["named"] == bundle
    side.unlink()
    for name, why in (
        ("n", "the version n@1 names no run that made it, only s3://somewhere"),
        ("m@9", "the model 'm' has no such version"),
        ("sha256:" + "cd" * 32, "no run of this ledger made the bundle sha256:cdcdcdcdcdcd"),
        ("m-" + "0" * 32, "no run of this ledger logged a model"),
    ):
        shown = make.assay(folder, "reproduce", name)
        assert shown.code == 255
        assert why in shown.err
    assert stages.starts(side) == []


def test_a_deleted_run_is_brought_back_first(tmp_path: Path):
    folder, side = stages.three_ran(tmp_path)
    with sqlite3.connect(folder / ".assay" / "ledger.db") as ledger:
        ((id_,),) = ledger.execute("select id from run where kind = 'pipeline'").fetchall()
        ledger.execute("update run set deleted = 1")
    ledger.close()
    shown = make.assay(folder, "reproduce", id_[:20])
    assert shown.code == 255
    assert f"the run {id_} is deleted" in shown.err
    assert f"assay runs restore {id_}" in shown.err
    assert stages.starts(side) == []


def test_an_experiment_is_done_again_with_its_parameters(tmp_path: Path):
    folder, _ = stages.three_ran(tmp_path)
    make.commit(folder)
    make.done(folder, "exp", "run", "-S", "lr=0.9")
    make.git(folder, "checkout", "-q", "--", ".")
    found = again(folder, "latest")
    assert found["sameness"] == "identical"
    make.done(folder, "exp", "run", "--queue", "-S", "lr=0.7")
    make.done(folder, "queue", "start", "-j", "1")
    make.done(folder, "queue", "logs", "--help")
    rows = json.loads(make.done(folder, "runs", "list", "--json"))
    assert again(folder, rows[0]["id"])["sameness"] == "identical"


def test_data_comes_from_any_remote_and_what_is_gone_names_them_all(tmp_path: Path):
    folder, side = stages.three_ran(tmp_path)
    make.done(folder, "remote", "add", "-d", "empty", str(tmp_path / "empty"))
    make.done(folder, "remote", "add", "full", str(tmp_path / "full"))
    make.done(folder, "push", "-r", "full")
    (tmp_path / "empty").mkdir(exist_ok=True)
    oid = stages.locked(folder)["prep"]["deps"][0]["md5"]
    shutil.rmtree(folder / ".dvc" / "cache")
    shown = make.assay(folder, "reproduce")
    assert shown.code == 0, shown
    assert "fetched 1 object of the run's data from 'full'" in shown.out
    shutil.rmtree(folder / ".dvc" / "cache")
    shutil.rmtree(tmp_path / "full")
    (tmp_path / "full").mkdir()
    side.unlink()
    shown = make.assay(folder, "reproduce")
    assert shown.code == 255
    assert (
        f"the version of 'data.csv' that stage 'prep' read is gone: md5:{oid} is not in the "
        "cache, nor on the remotes 'empty', 'full'"
    ) in shown.err
    assert stages.starts(side) == []


def test_code_that_did_not_travel_is_named(tmp_path: Path):
    folder, side = stages.three(tmp_path)
    make.write(folder, {"params.yaml": "lr: 0.7\nseed: 1\n"})
    make.done(folder, "repro")
    side.unlink()
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        run = runs.get(ledger, "latest")
    digest = (run.code.diff or "").removeprefix("sha256:")
    path = workspace.find(folder).objects.path(digest)
    path.parent.chmod(0o755)
    path.unlink()
    shown = make.assay(folder, "reproduce")
    assert shown.code == 255
    assert f"the uncommitted changes did not come here: sha256:{digest}" in shown.err
    assert list((folder / ".assay" / "worktrees").iterdir()) == []


def test_a_teammate_does_runs_again_from_what_was_pulled(tmp_path: Path):
    folder, _ = stages.three_ran(tmp_path)
    files = {"params.yaml": "lr: 0.7\nseed: 7\n", "data.csv": "1\n2\n"}
    make.write(folder, {**files, "sub/search.py": SCRIPT.replace("NOISE", "0")})
    make.done(folder, "add", "data.csv")
    make.done(folder, "repro")
    script = call(folder, "sub/search.py", "2")
    pipeline = json.loads(make.done(folder, "runs", "list", "--json"))
    run = next(row["id"] for row in pipeline if row["kind"] == "pipeline")
    store = str(tmp_path / "store")
    make.done(folder, "remote", "add", "-d", "store", store)
    make.done(folder, "push")
    make.git(tmp_path, "clone", "-q", str(folder), str(tmp_path / "colleague"))
    shutil.rmtree(folder)

    colleague = tmp_path / "colleague"
    make.done(colleague, "remote", "add", "-d", "-f", "store", store)
    make.done(colleague, "pull", "--allow-missing")  # the data of the commit was never pushed
    for name, kind in ((run, "pipeline"), (script, "script")):
        found = again(colleague, name)
        assert (found["sameness"], found["kind"]) == ("identical", kind)


def test_a_parameters_file_that_git_ignores_is_that_of_the_run(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    code = (
        "import assay\nwith assay.run('r'):\n"
        "    assay.log_metric('n', len(open('params.yaml').read()))\n"
    )
    make.write(folder, {".gitignore": "/params.yaml\n", "params.yaml": "a: 1\n", "s.py": code})
    make.commit(folder)
    call(folder, "s.py")
    make.write(folder, {"params.yaml": "a: 1\nb: 2\n"})
    assert again(folder)["sameness"] == "identical"
