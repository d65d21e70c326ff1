"""A person's way with a pipeline: run it, change it, break it, interrupt it, go on."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from tests import make, stages


def show(folder: Path, run: str = "latest") -> dict[str, Any]:
    found: dict[str, Any] = json.loads(make.done(folder, "runs", "show", run, "--json"))
    return found


def test_from_a_first_run_to_a_change_and_back(tmp_path: Path):
    folder, side = stages.three(tmp_path)
    assert "prep          would run: it has not run yet\n" in make.done(folder, "repro", "--dry")
    assert "prep:\n\tchanged deps:\n\t\tmodified:           data.csv\n" in make.done(
        folder, "status"
    )
    said = make.done(folder, "repro")
    assert "Running stage 'prep': it has not run yet\n> echo prep" in said
    assert "Ran prep, train, evaluate in " in said
    assert make.done(folder, "status") == "Data and pipelines are up to date.\n"
    assert make.assay(folder, "-q", "status") == (0, "", "")
    make.commit(folder, "first")
    make.write(folder, {"params.yaml": "lr: 0.5\nseed: 7\n"})
    assert make.done(folder, "status") == (
        "train:\n\tchanged deps:\n\t\tparams.yaml:\n\t\t\tmodified:           lr\n"
    )
    assert make.assay(folder, "-q", "status").code == 1
    assert "Running stage 'train': params.yaml:lr is modified" in make.done(folder, "repro")
    make.commit(folder, "second")
    make.git(folder, "checkout", "-q", "HEAD~1")
    assert "Nothing had to run." in make.done(folder, "repro")
    assert stages.starts(side) == ["prep", "train", "evaluate", "train", "evaluate"]
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"
    assert make.git(folder, "status", "--porcelain") == ""


def test_the_graph_and_the_stages_are_shown(tmp_path: Path):
    folder, _ = stages.three(tmp_path)
    assert make.done(folder, "dag") == (
        "data.csv.dvc\nprep  <- data.csv.dvc\ntrain  <- prep\nevaluate  <- train\n"
    )
    assert json.loads(make.done(folder, "dag", "--json", "train"))["edges"] == [
        ["data.csv.dvc", "prep"], ["prep", "train"],
    ]  # fmt: skip
    assert make.done(folder, "stage", "list") == (
        "prep      Outputs clean.csv\n"
        "train     Outputs model.txt\n"
        "evaluate  Reports metrics.json\n"
    )
    document = json.loads(make.done(folder, "stage", "list", "--json"))
    assert document["edges"] == [["prep", "train"], ["train", "evaluate"]]
    assert document["stages"]["train"]["params"] == {"params.yaml": ["lr", "seed"]}
    assert document["stages"]["evaluate"]["outs"][0]["cache"] is False


BREAKS = """
stages:
  above:
    cmd: echo above >> SIDE; cat params.yaml > above.txt
    params: [k]
    outs: [above.txt]
  breaks:
    cmd: |
      echo breaks >> SIDE
      echo half > file.txt; mkdir -p folder; echo half > folder/new; echo half >> kept.txt
      echo half > metrics.json
      sh how.sh
    deps: [above.txt]
    outs: [file.txt, folder, {kept.txt: {persist: true}}]
    metrics: [{metrics.json: {cache: false}}]
  below:
    cmd: echo below >> SIDE; cp file.txt below.txt
    deps: [file.txt]
    outs: [below.txt]
"""


@pytest.mark.parametrize(
    ("how", "said"),
    [
        ("exit 9", "'sh how.sh' failed with exit status 9"),
        ("kill -KILL $$", "'sh how.sh' was ended by signal 9"),
        ("rm -r folder", "the command ended well but did not write its output 'folder'"),
    ],
)
def test_a_stage_that_breaks_leaves_all_as_it_was(tmp_path: Path, how: str, said: str):
    side = tmp_path / "starts"
    files = {"how.sh": "echo 1 > folder/1\n", "params.yaml": "k: 1\n"}
    folder = stages.pipeline(tmp_path / "project", BREAKS.replace("SIDE", str(side)), files)
    make.done(folder, "repro")
    make.commit(folder)
    make.write(folder, {"how.sh": how, "params.yaml": "k: 2\n"})
    make.done(folder, "repro", "above")
    side.unlink()
    before, tree = stages.lock(folder), make.snapshot(folder, without=(".git", ".assay", ".dvc"))
    for _ in range(2):
        shown = make.assay(folder, "repro")
        assert shown.code == 255
        assert f"stage 'breaks': {said}" in shown.err
        assert "its outputs are as they were before" in shown.err
        assert stages.lock(folder) == before
        assert make.snapshot(folder, without=(".git", ".assay", ".dvc")) == tree
    assert stages.starts(side) == ["breaks", "breaks"]
    assert show(folder)["run"]["status"] == "failed"


def test_a_stage_that_never_ran_and_breaks_leaves_no_half_output(tmp_path: Path):
    text = BREAKS.replace("SIDE", str(tmp_path / "starts"))
    folder = stages.pipeline(
        tmp_path / "project", text, {"how.sh": "exit 1", "params.yaml": "k: 1\n"}
    )
    assert make.assay(folder, "repro").code == 255
    assert list(stages.locked(folder)) == ["above"]
    for name in ("file.txt", "folder", "kept.txt", "metrics.json", "below.txt"):
        assert not (folder / name).exists(), name


WAITS = """
stages:
  waits:
    cmd: |
      echo half > out.txt
      echo ready > READY; sh -c 'while true; do echo tick >> SIDE; sleep 0.05; done'; true
    deps: [in.txt]
    outs: [out.txt]
  below:
    cmd: cp out.txt below.txt
    deps: [out.txt]
    outs: [below.txt]
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_ends_the_stage_and_puts_its_outputs_back(
    tmp_path: Path, number: signal.Signals
):
    side, ready = tmp_path / "ticks", tmp_path / "ready"
    text = WAITS.replace("SIDE", str(side)).replace("READY", str(ready))
    quick = (
        "stages:\n  waits:\n    cmd: echo old > out.txt\n    deps: [in.txt]\n    outs: [out.txt]\n"
    )
    folder = stages.pipeline(tmp_path / "project", quick, {"in.txt": "1\n"})
    make.done(folder, "repro")
    make.write(folder, {"dvc.yaml": text})
    before = make.snapshot(folder)
    with subprocess.Popen(
        make.command("repro"),
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as running:
        deadline = time.monotonic() + 30
        while not (ready.exists() and side.exists()):
            assert time.monotonic() < deadline
            assert running.poll() is None
            time.sleep(0.02)
        running.send_signal(number)
        _, err = running.communicate(timeout=60)
    assert (running.returncode, err.strip()) == (130, "interrupted")
    ticks = side.stat().st_size
    time.sleep(0.3)
    assert side.stat().st_size == ticks, "a process of the stage goes on"
    assert make.snapshot(folder) == before
    found = show(folder)
    assert (found["run"]["status"], found["run"]["reason"]) == ("killed", "interrupted")
    assert [(c["stage"], c["status"]) for c in found["children"]] == [("waits", "killed")]


def test_a_dependency_that_is_edited_while_its_stage_runs_is_not_recorded_as_used(tmp_path: Path):
    text = """
stages:
  reads:
    cmd: cp in.txt out.txt; echo changed > in.txt; cp next.yaml params.yaml
    deps: [in.txt]
    params: [k]
    outs: [out.txt]
"""
    files = {"in.txt": "first\n", "params.yaml": "k: 1\n", "next.yaml": "k: 2\n"}
    folder = stages.pipeline(tmp_path / "project", text, files)
    said = make.done(folder, "repro")
    assert "warning: 'in.txt' was edited while 'reads' ran" in said
    assert "warning: 'params.yaml' was edited while 'reads' ran" in said
    entry = stages.locked(folder)["reads"]
    assert entry["deps"][0]["md5"] == hashlib.md5(b"first\n").hexdigest()
    assert entry["params"] == {"params.yaml": {"k": 1}}
    assert json.loads(make.done(folder, "status", "--json"))["reads"] == [
        {"changed deps": {"in.txt": "modified", "params.yaml": {"k": "modified"}}}
    ]
    assert not (folder / ".dvc" / "cache" / "runs").exists()
    assert "Ran reads" in make.done(folder, "repro")
    assert (folder / "out.txt").read_text() == "changed\n"


def test_two_repros_at_once_run_each_stage_once(tmp_path: Path):
    side = tmp_path / "starts"
    text = f"""
stages:
  slow:
    cmd: echo slow >> {side}; sleep 0.5; echo done > out.txt
    deps: [in.txt]
    outs: [out.txt]
"""
    folder = stages.pipeline(tmp_path / "project", text, {"in.txt": "1\n"})
    both = [
        subprocess.Popen(
            make.command("repro"), cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        for _ in range(2)
    ]
    for running in both:
        running.communicate(timeout=60)
        assert running.returncode == 0
    assert stages.starts(side) == ["slow"]
    assert len(json.loads(make.done(folder, "runs", "list", "--json"))) == 1


def test_as_json_all_that_a_command_prints_goes_to_stderr(tmp_path: Path):
    folder, _ = stages.three(tmp_path)
    shown = make.assay(folder, "repro", "--json")
    assert [one["state"] for one in json.loads(shown.out)["stages"]] == [
        "unchanged", "ran", "ran", "ran",
    ]  # fmt: skip
    assert "> echo prep" in shown.err


def test_a_pipeline_runs_from_any_folder_and_with_blanks_in_names(tmp_path: Path):
    text = """
stages:
  "a stage":
    cmd: cp 'in put.txt' 'out put.txt'
    deps: ["in put.txt"]
    outs: ["out put.txt"]
"""
    folder = stages.pipeline(tmp_path / "a project", text, {"in put.txt": "x", "sub/.keep": ""})
    shown = make.assay(folder / "sub", "repro", "a stage")
    assert shown.code == 0, shown
    assert "git add ../.gitignore ../dvc.lock" in shown.err
    assert (folder / "out put.txt").read_text() == "x"
    assert (folder / ".gitignore").read_text() == "/out put.txt\n"
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"


def test_output_that_is_no_text_does_not_stop_a_stage(tmp_path: Path):
    text = "stages:\n  raw:\n    cmd: printf '\\377\\n'; cat big; echo x > o\n    outs: [o]\n"
    folder = stages.pipeline(tmp_path / "project", text, {"big": os.urandom(200_000)})
    environment = {**os.environ, "LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    done: Any = subprocess.run(
        [sys.executable, "-m", "assay", "repro"],
        cwd=folder, check=False, capture_output=True, env=environment,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert (folder / "o").read_text() == "x\n"
