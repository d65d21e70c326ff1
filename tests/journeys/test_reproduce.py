"""A recorded run done again, from the record alone."""

from __future__ import annotations

import json
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import make, stages


def untouched(folder: Path) -> dict[str, Any]:
    """Return all of a person's clone that a reproduction must leave as it is."""
    return {
        "files": make.snapshot(folder, without=(".git", ".assay", "cache")),
        "status": make.git(folder, "status", "--porcelain"),
        "index": (folder / ".git" / "index").read_bytes(),
        "head": (folder / ".git" / "HEAD").read_bytes(),
        "refs": make.git(folder, "for-each-ref"),
        "worktrees": make.git(folder, "worktree", "list", "--porcelain"),
        "stash": make.git(folder, "stash", "list"),
    }


def verdict(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    """Reproduce, and return the verdict; the person's clone must not change."""
    before = untouched(folder)
    shown = make.assay(folder, "reproduce", "--json", *arguments)
    assert shown.code == code, shown
    assert untouched(folder) == before
    found: dict[str, Any] = json.loads(shown.out)
    return found


def folders(trees: Path) -> list[Path]:
    """Return work trees; the files beside them are held by the processes that work there."""
    return [path for path in trees.iterdir() if path.is_dir()]


def refusal(folder: Path, *arguments: str) -> str:
    """Reproduce what cannot be, and return the error; the person's clone must not change."""
    before = untouched(folder)
    shown = make.assay(folder, "reproduce", *arguments)
    assert shown.code == 255, shown
    assert untouched(folder) == before
    return shown.err


@pytest.fixture
def three(tmp_path: Path) -> tuple[Path, Path]:
    """Three stages that ran on a clean commit; the file of their starts is empty again."""
    return stages.three_ran(tmp_path)


def test_every_stage_starts_once_and_all_is_identical_to_the_bit(three: tuple[Path, Path]):
    folder, side = three
    found = verdict(folder)
    assert stages.starts(side) == ["prep", "train", "evaluate"]
    assert found["sameness"] == "identical"
    assert found["parted"] is None
    assert found["same_software"] is True
    assert found["environment"] == []
    assert [
        (stage["stage"], [one["name"] for one in stage["outputs"] + stage["metrics"]])
        for stage in found["stages"]
    ] == [
        ("prep", ["clean.csv"]), ("train", ["model.txt"]), ("evaluate", ["metrics.json", "size"]),
    ]  # fmt: skip
    shown = json.loads(make.done(folder, "runs", "show", found["reproduction"], "--json"))["run"]
    assert shown["kind"] == "reproduction"
    assert shown["tags"] == {"reproduces": found["run"], "verdict": "identical"}
    again = make.assay(folder, "reproduce", found["reproduction"])
    assert f"Run {found['run']}: identical to the bit (3 outputs and 1 metric of" in again.out


def test_the_code_and_data_of_then_are_used_and_not_those_of_now(three: tuple[Path, Path]):
    folder, _ = three
    run = verdict(folder)["run"]
    make.commit(folder)
    text = (folder / "dvc.yaml").read_text()
    make.write(folder, {
        "dvc.yaml": text.replace("sort data.csv", "cat data.csv"),
        "data.csv": "new,3\n", "params.yaml": "lr: 9\nseed: 8\n",
    })  # fmt: skip
    make.done(folder, "add", "data.csv")
    make.commit(folder)
    make.done(folder, "repro")
    assert verdict(folder, run[:15])["sameness"] == "identical"
    assert verdict(folder, "latest")["run"] != run


def test_a_reproduction_of_a_stage_is_one_of_its_pipeline(three: tuple[Path, Path]):
    folder, side = three
    shown = json.loads(make.done(folder, "runs", "show", "--json"))
    found = verdict(folder, shown["children"][1]["id"])
    assert found["run"] == shown["run"]["id"]
    assert stages.starts(side) == ["prep", "train", "evaluate"]


def test_a_damaged_object_is_named_and_does_not_change_the_verdict(three: tuple[Path, Path]):
    folder, _ = three
    oid = stages.out_oid(folder, "model.txt")
    stages.damage(stages.object_of(folder, oid))
    found = verdict(folder)
    assert found["sameness"] == "identical"
    assert found["damaged"] == [f"md5:{oid} (model.txt)"]
    shown = make.assay(folder, "reproduce")
    assert f"Damaged in the cache: md5:{oid} (model.txt)" in shown.out
    assert shown.code == 0


def test_damaged_source_data_is_named_before_anything_runs(three: tuple[Path, Path]):
    folder, side = three
    entry = stages.locked(folder)["prep"]["deps"][0]
    path = stages.object_of(folder, entry["md5"])
    stages.damage(path)
    assert f"the object md5:{entry['md5']} is damaged" in refusal(folder)
    assert stages.starts(side) == []


UNSEEDED = """
stages:
  first:
    cmd: cp params.yaml first.txt
    params: [k]
    outs: [first.txt]
  noisy:
    cmd: python3 noisy.py
    deps: [first.txt, noisy.py]
    outs: [noisy.csv]
    metrics: [{m.json: {cache: false}}]
  last:
    cmd: wc -l < noisy.csv > last.txt
    deps: [noisy.csv]
    outs: [last.txt]
"""
NOISY = """
import json, os
noise = int.from_bytes(os.urandom(4), "big") * 1e-15
open("noisy.csv", "w").write(f"x\\n{1 + noise!r}\\n")
open("m.json", "w").write(json.dumps({"acc": 0.5 + noise, "sure": 1}))
"""


def test_a_stage_without_a_seed_is_found_and_named(tmp_path: Path):
    text = UNSEEDED.replace("python3", f"{sys.executable} -S")
    files = {"params.yaml": "k: 1\n", "noisy.py": NOISY}
    folder = stages.pipeline(tmp_path / "project", text, files)
    make.done(folder, "repro")
    found = verdict(folder, code=1)
    assert (found["sameness"], found["parted"]) == ("differs", "noisy")
    assert [stage["sameness"] for stage in found["stages"]] == [
        "identical", "differs", "identical",
    ]  # fmt: skip
    noisy = {one["name"]: one["sameness"] for one in found["stages"][1]["metrics"]}
    assert noisy == {"acc": "differs", "sure": "identical"}
    shown = make.assay(folder, "reproduce")
    assert "DIFFERENT from stage 'noisy' on" in shown.out
    assert "  noisy.csv: differs, recorded md5:" in shown.out
    close = verdict(folder, "--rtol", "1e-4", "latest")
    assert (close["sameness"], close["parted"], close["rtol"]) == ("close", "noisy", 1e-4)
    text = make.done(folder, "reproduce", "--rtol", "1e-4")
    assert "the same within a relative tolerance of 0.0001" in text
    assert make.assay(folder, "reproduce", "--rtol", "1e-30").code == 1


def test_uncommitted_changes_and_untracked_files_are_part_of_the_record(tmp_path: Path):
    folder, side = stages.three(tmp_path)
    text = (folder / "dvc.yaml").read_text()
    make.write(folder, {
        "dvc.yaml": text.replace("sort data.csv", "sh how.sh"),
        "how.sh": "sort -r data.csv\n",
        "params.yaml": "lr: 0.7\nseed: 1\n",
        "binary": bytes(range(256)),
    })  # fmt: skip
    make.git(folder, "add", "binary")
    (folder / "how.sh").chmod(0o755)
    make.done(folder, "repro")
    side.unlink()
    (folder / "how.sh").unlink()
    make.git(folder, "checkout", "-q", "--", "dvc.yaml", "params.yaml")
    assert verdict(folder)["sameness"] == "identical"
    assert stages.starts(side) == ["prep", "train", "evaluate"]


def test_too_many_untracked_bytes_are_said_to_be_irreproducible(tmp_path: Path):
    folder, side = stages.three(tmp_path)
    make.write(folder, {"large.bin": bytes(10_000_001)})
    make.done(folder, "repro")
    side.unlink()
    why = "not reproducible: 10.0 MB are untracked; at most 10.0 MB are kept"
    assert why in make.done(folder, "runs", "show")
    said = refusal(folder)
    assert why in said
    assert "hint: commit the code before 'assay repro'" in said
    assert stages.starts(side) == []


def test_a_run_before_the_first_commit_is_said_to_be_irreproducible(tmp_path: Path):
    folder = make.write(
        make.project(tmp_path / "project"), {"dvc.yaml": "stages: {a: {cmd: 'true'}}"}
    )
    make.done(folder, "repro")
    shown = make.assay(folder, "reproduce")
    assert shown.code == 255
    assert "not reproducible: there is no commit yet" in shown.err


def test_data_that_is_gone_from_the_cache_comes_from_the_remote(three: tuple[Path, Path]):
    folder, _ = three
    make.done(folder, "remote", "add", "-d", "store", str(folder.parent / "store"))
    make.done(folder, "push")
    oid = stages.locked(folder)["prep"]["deps"][0]["md5"]
    shutil.rmtree(folder / ".dvc" / "cache")
    shown = make.assay(folder, "reproduce")
    assert shown.code == 0, shown
    assert "fetched 1 object of the run's data from 'store'" in shown.out
    assert "identical to the bit" in shown.out
    shutil.rmtree(folder / ".dvc" / "cache")
    shutil.rmtree(folder.parent / "store")
    said = refusal(folder)
    assert f"the version of 'data.csv' that stage 'prep' read is gone: md5:{oid}" in said


def test_folders_with_tracked_data_inside_are_put_together_again(tmp_path: Path):
    """`deps: [data]`, where some files are in git, one is tracked, and one is a folder of data."""
    text = """
stages:
  reads:
    cmd: find data -type f | sort | xargs cat > all.txt
    deps: [data]
    outs: [all.txt]
"""
    files = {
        "data/readme.txt": "in git\n",
        "data/a.csv": "a\n",
        "data/many/1": "1\n",
        "data/many/s/2": "2\n",
    }
    folder = make.write(make.project(tmp_path / "project"), {**files, "dvc.yaml": text})
    make.done(folder, "add", "data/a.csv", "data/many")
    make.commit(folder)
    make.done(folder, "repro")
    make.done(folder, "remote", "add", "-d", "store", str(tmp_path / "store"))
    make.done(folder, "push")
    assert verdict(folder)["sameness"] == "identical"
    shutil.rmtree(folder / "data" / "many")
    shutil.rmtree(folder / ".dvc" / "cache")
    assert verdict(folder)["sameness"] == "identical"


def test_a_project_in_a_folder_of_its_repository_with_stages_elsewhere_is_done_again(
    tmp_path: Path,
):
    repository = make.repository(tmp_path / "repository")
    folder = repository / "ml"
    files = {
        "ml/.dvc/config": "", "ml/.dvc/.gitignore": "/config.local\n/tmp\n/cache\n",
        "ml/sub/dvc.yaml": "stages: {s: {wdir: w, cmd: cat ../../in.txt ../../../top.txt > o, "
        "deps: [../../in.txt, ../../../top.txt], params: [k], outs: [o]}}",
        "ml/sub/w/params.yaml": "k: 1\n", "ml/in.txt": "in\n", "top.txt": "top\n",
    }  # fmt: skip
    make.write(repository, files)
    make.done(folder, "add", "in.txt")
    make.commit(repository)
    make.done(folder, "repro")
    shown = make.assay(folder, "reproduce")
    assert shown.code == 0, shown
    assert "sub/dvc.yaml:s: identical" in shown.out


def test_what_is_different_about_the_environment_is_named(
    three: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch
):
    folder, _ = three
    with sqlite3.connect(folder / ".assay" / "ledger.db") as ledger:
        ((content,),) = ledger.execute("select content from environment").fetchall()
        recorded = json.loads(content)
        recorded["software"]["packages"].append("zzz-only-then==1.2")
        recorded["host"]["machine"] = "other"
        ledger.execute("update environment set content = ?", [json.dumps(recorded)])
    monkeypatch.setenv("PYTHONHASHSEED", "5")
    found = verdict(folder, "--environment", "current")
    assert (found["sameness"], found["environment_used"]) == ("identical", "current")
    assert found["same_software"] is False
    assert "zzz-only-then is missing, recorded 1.2" in found["environment"]
    assert "PYTHONHASHSEED=5, recorded unset" in found["environment"]
    assert any(line.endswith("recorded other") for line in found["environment"])
    shown = make.assay(folder, "reproduce", "--environment", "current")
    assert "What is different about the environment:" in shown.out
    assert "Interpreter and packages are those of the record" not in shown.out


def test_a_failed_run_is_done_again_as_far_as_it_came(tmp_path: Path):
    text = """
stages:
  good:
    cmd: echo good > good.txt
    outs: [good.txt]
  bad:
    cmd: exit 1
    deps: [good.txt]
"""
    folder = stages.pipeline(tmp_path / "project", text)
    assert make.assay(folder, "repro").code == 255
    shown = make.assay(folder, "reproduce")
    assert "note: the run failed" in shown.out
    assert "identical to the bit (1 output" in shown.out


def test_a_stage_that_fails_this_time_says_so_and_leaves_no_work_tree(tmp_path: Path):
    flag = tmp_path / "flag"
    text = f"stages: {{a: {{cmd: test ! -e {flag} && echo 1 > o, outs: [o]}}}}"
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    flag.touch()
    assert "failed with exit status 1" in refusal(folder)
    flag.unlink()
    text = f"stages: {{a: {{cmd: test -e {flag} || echo 1 > o, outs: [o]}}}}"
    make.write(folder, {"dvc.yaml": text})
    make.done(folder, "repro", "-f")
    flag.touch()
    assert "the output 'o' was not written this time" in refusal(folder)
    latest = json.loads(make.done(folder, "runs", "list", "--json"))[0]
    assert (latest["kind"], latest["status"]) == ("reproduction", "failed")


@pytest.mark.parametrize("absolute", [True, False])
def test_outputs_outside_the_repository_are_not_written_over(tmp_path: Path, absolute: bool):
    out = str(tmp_path / "shared" / "o") if absolute else "../shared/o"
    text = (
        f"stages: {{a: {{cmd: echo 1 >> {out}, outs: [{out}: {{cache: false, persist: true}}]}}}}"
    )
    make.write(tmp_path, {"shared/o": "0\n"})
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    said = refusal(folder)
    assert f"the output '{out}' of stage 'a' lies outside the repository" in said
    assert (tmp_path / "shared" / "o").read_text() == "0\n1\n"


def test_a_git_hook_of_the_person_does_not_run(three: tuple[Path, Path]):
    folder, _ = three
    hook = folder / ".git" / "hooks" / "post-checkout"
    make.write(folder, {".git/hooks/post-checkout": f"#!/bin/sh\ntouch {folder.parent}/hooked\n"})
    hook.chmod(0o755)
    assert verdict(folder)["sameness"] == "identical"
    assert not (folder.parent / "hooked").exists()


def test_the_work_tree_is_kept_when_asked_for_and_swept_when_a_kill_left_it(tmp_path: Path):
    ready = tmp_path / "ready"
    text = f"""
stages:
  waits:
    cmd: test -e {ready} && echo second > {ready} && sleep 60; echo 1 > o; echo first > {ready}
    outs: [o]
"""
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    trees = folder / ".assay" / "worktrees"
    with subprocess.Popen(
        make.command("reproduce"), cwd=folder, stdout=subprocess.DEVNULL
    ) as running:
        deadline = time.monotonic() + 30
        while ready.read_text() != "second\n":
            assert time.monotonic() < deadline
            time.sleep(0.02)
        running.kill()
    (left,) = folders(trees)
    ready.unlink()
    shown = make.assay(folder, "reproduce", "--keep")
    (kept,) = folders(trees)
    assert kept != left
    assert f"the work tree is kept in {kept}" in shown.out
    assert (kept / "o").read_text() == "1\n"
    found = json.loads(make.done(folder, "runs", "list", "--json"))
    assert [(one["kind"], one["status"]) for one in found] == [
        ("reproduction", "finished"), ("reproduction", "killed"), ("pipeline", "finished"),
    ]  # fmt: skip


@pytest.mark.parametrize("delay", [0.3, 0.5, 0.7, 0.9])
def test_whenever_it_is_killed_the_next_one_leaves_nothing_behind(tmp_path: Path, delay: float):
    folder, _ = stages.three_ran(tmp_path)
    with subprocess.Popen(
        make.command("reproduce"),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    ) as running:
        time.sleep(delay)
        running.kill()
    before = {key: value for key, value in untouched(folder).items() if key != "worktrees"}
    shown = make.assay(folder, "reproduce")
    assert shown.code == 0, shown
    after = untouched(folder)
    assert {key: value for key, value in after.items() if key != "worktrees"} == before
    assert list((folder / ".assay" / "worktrees").iterdir()) == []
    assert after["worktrees"].count("worktree ") == 1
    listed = json.loads(make.done(folder, "runs", "list", "--all", "--json"))
    assert {row["status"] for row in listed} <= {"finished", "killed"}


def test_an_interrupt_takes_the_work_tree_away(tmp_path: Path):
    ready = tmp_path / "ready"
    text = f"stages: {{w: {{cmd: 'test -e {ready} && rm {ready} && sleep 60; touch {ready}'}}}}"
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro")
    before = untouched(folder)
    with subprocess.Popen(
        make.command("reproduce"), cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as running:
        while ready.exists() and running.poll() is None:
            time.sleep(0.02)
        running.send_signal(signal.SIGTERM)
        assert running.communicate(timeout=60)[1].strip() == b"interrupted"
        assert running.returncode == 130
    assert untouched(folder) == before
    assert list((folder / ".assay" / "worktrees").iterdir()) == []


def test_unknown_runs_and_code_that_is_in_no_file_are_refused_with_a_hint(
    three: tuple[Path, Path],
):
    folder, _ = three
    assert "'assay runs list' shows the runs" in refusal(folder, "0000")
    script = "import assay\nwith assay.run('alone') as run:\n    print(run.id)\n"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=folder, check=True, capture_output=True, text=True
    )
    said = refusal(folder, done.stdout.strip())
    assert "the command of the run cannot be called again: -c" in said
    assert "hint: a notebook, a prompt or 'python -c' is not on record" in said


def test_without_a_ledger_there_is_nothing_to_do_again(tmp_path: Path):
    folder, _ = stages.three(tmp_path)
    shown = make.assay(folder, "reproduce")
    assert shown.code == 255
    assert "there is no ledger" in shown.err
    assert not (folder / ".assay" / "ledger.db").exists()


def test_parameters_that_git_ignores_are_those_of_the_record(tmp_path: Path):
    text = """
stages:
  a:
    cmd: cat params.yaml conf/more.json | tr -d ' ' > o
    params: [lr, opt.m, conf/more.json: [seed]]
    outs: [o]
"""
    files = {
        ".gitignore": "/params.yaml\n/conf\n/out\n",
        "params.yaml": '{"lr": 0.1, "opt": {"m": [1, 2]}}',
        "conf/more.json": '{"seed": 7}',
    }
    folder = stages.pipeline(tmp_path / "project", text, files)
    make.done(folder, "repro")
    make.write(folder, {"params.yaml": "lr: 9\n", "conf/more.json": "{}"})
    assert verdict(folder)["sameness"] == "identical"
