"""`kill -9` of a `repro` at moments drawn over its work; then the same command again."""

from __future__ import annotations

import collections
import contextlib
import json
import random
import shutil
import subprocess
import time
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import make, stages

NAMES = ("one", "two", "three", "four")
STAGE = """
  NAME:
    cmd: |
      echo start NAME $ASSAY_RUN >> $(dirname $ASSAY_LEDGER)/../../side
      sh ticks.sh $ASSAY_RUN; cat FROM FROM > NAME.txt; mkdir NAME.d; cp FROM NAME.d/x
    deps: [FROM]
    outs: [NAME.txt, NAME.d]
"""
READS = {  # by how many stages run at a time: one after the other, and two beside two
    "1": {"one": "in.txt", "two": "one.txt", "three": "two.txt", "four": "three.txt"},
    "2": {"one": "in.txt", "two": "in.txt", "three": "one.txt", "four": "two.txt"},
}
TICKS = """
for i in 1 2 3 4 5 6; do
  echo tick $1 >> $(dirname $ASSAY_LEDGER)/../../side
  sleep 0.05
done
"""


class Reference(NamedTuple):
    """A project before its first run, and what an uninterrupted one makes of it."""

    project: Path
    jobs: str
    lock: str
    outputs: dict[str, object]
    seconds: float  # from the beginning of the run's record to the end of the process


@pytest.fixture(scope="module", params=["1", "2"], ids=["one by one", "two at a time"])
def reference(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Reference:
    jobs: str = request.param
    parts = [STAGE.replace("NAME", n).replace("FROM", s) for n, s in READS[jobs].items()]
    place = tmp_path_factory.mktemp("reference")
    project = stages.pipeline(
        place / "project", "stages:" + "".join(parts), {"in.txt": "1\n", "ticks.sh": TICKS}
    )
    whole = shutil.copytree(project, place / "whole" / "project", symlinks=True)
    with start(whole, jobs) as running:
        began = wait_for_work(whole, running)
        assert running.wait(60) == 0
        seconds = time.monotonic() - began
    return Reference(project, jobs, stages.lock(whole), outputs(whole), seconds)


def outputs(folder: Path) -> dict[str, object]:
    found = make.snapshot(folder, without=(".git", ".assay", ".dvc"))
    return {name: one for name, one in found.items() if name.startswith(NAMES)}


def start(folder: Path, jobs: str = "1") -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        make.command("repro", "-j", jobs),
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for_work(folder: Path, running: subprocess.Popen[bytes]) -> float:
    """Return the moment at which the run's record begins."""
    while running.poll() is None and not list((folder / ".assay").glob("work/running.*")):
        time.sleep(0.002)
    return time.monotonic()


def side(folder: Path) -> list[list[str]]:
    path = folder.parent / "side"
    return [line.split() for line in path.read_text().splitlines()] if path.exists() else []


def phase(folder: Path) -> str:
    """Say where in its work a repro was when it ended."""
    started = [words[1] for words in side(folder) if words[0] == "start"]
    done = len(stages.locked(folder)) if (folder / "dvc.lock").exists() else 0
    if not started:
        return "before the first stage"
    if done == len(NAMES):
        return "after the last stage"
    return f"during stage {started[-1]}" if len(started) > done else f"after stage {started[-1]}"


def living(runs: set[str]) -> list[int]:
    """Return the processes that have one of the runs in their environment."""
    found = []
    for entry in Path("/proc").glob("[0-9]*/environ"):
        with contextlib.suppress(OSError):
            variables = entry.read_bytes().split(b"\0")
            if any(f"ASSAY_RUN={run}".encode() in variables for run in runs):
                found.append(int(entry.parent.name))
    return found


def check_again(reference: Reference, folder: Path, where: str) -> None:
    """Run the same command again, and look at all that the kill could have spoiled."""
    old = {words[-1] for words in side(folder)}
    started = {words[1] for words in side(folder) if words[0] == "start"}
    make.done(folder, "repro", "-j", reference.jobs)
    assert living(old) == [], where
    before = [words for words in side(folder) if words[-1] in old]
    time.sleep(0.12)
    assert [words for words in side(folder) if words[-1] in old] == before, where
    assert stages.lock(folder) == reference.lock, where
    assert outputs(folder) == reference.outputs, where
    assert [p.name for p in (folder / ".assay" / "work").iterdir()] == [], where
    listed = json.loads(make.done(folder, "runs", "list", "--json", "--all"))
    assert not [run for run in listed if run["status"] in {"running", "failed"}], where
    whole = [run["status"] for run in listed if run["kind"] == "pipeline"]
    again = [words[1] for words in side(folder) if words[0] == "start" and words[-1] not in old]
    if where == "after the last stage":  # the second one had nothing to do
        assert whole in (["killed"], ["finished"]), where
    elif where == "before the first stage":  # the kill may have come before the first row
        assert whole in (["finished"], ["finished", "killed"]), where
    else:  # what had ended may all have come from the run cache
        assert whole == (["finished", "killed"] if again else ["killed"]), where
    assert len(started & set(again)) <= int(reference.jobs), where
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"


@pytest.mark.parametrize(
    "count", [3, pytest.param(50, marks=[pytest.mark.slow])], ids=["a few", "many"]
)
def test_a_repro_that_is_killed_at_any_moment_goes_on_with_the_same_command(
    reference: Reference, tmp_path: Path, count: int
):
    draw = random.Random(20260729)
    phases: collections.Counter[str] = collections.Counter()
    seconds = reference.seconds
    for number in range(count):
        folder = shutil.copytree(
            reference.project, tmp_path / str(number) / "project", symlinks=True
        )
        with start(folder, reference.jobs) as running:
            began = wait_for_work(folder, running)
            with contextlib.suppress(subprocess.TimeoutExpired):
                running.wait(seconds * (number + draw.random()) / count)
                seconds = min(seconds, time.monotonic() - began)  # faster than was measured
            running.kill()
        where = phase(folder)
        phases[where] += 1
        check_again(reference, folder, where)
        shutil.rmtree(folder.parent)
    print(f"\n{count} kills over {seconds:.2f} s of work: {dict(sorted(phases.items()))}")  # noqa: T201 -- pytest shows it with -s or -rP
    inside = sum(n for where, n in phases.items() if "stage " in where)
    assert 2 * inside >= count, phases


def test_the_outputs_of_a_killed_stage_are_back_before_anything_reads_them(tmp_path: Path):
    """The kill comes while the outputs of a good run are set aside; going back needs no run."""
    text = """
stages:
  slow:
    cmd: echo half > out.txt; test $(cat in.txt) = quick || sleep 60; cp in.txt out.txt
    deps: [in.txt]
    outs: [out.txt]
"""
    folder = stages.pipeline(tmp_path / "project", text, {"in.txt": "quick\n"})
    make.done(folder, "repro")
    lock = stages.lock(folder)
    make.write(folder, {"in.txt": "slow\n"})
    with start(folder) as running:
        while not (folder / "out.txt").exists() or (folder / "out.txt").read_text() != "half\n":
            assert running.poll() is None
            time.sleep(0.01)
        running.kill()
    make.write(folder, {"in.txt": "quick\n"})
    shown = make.assay(folder, "repro")
    assert shown.code == 0, shown
    assert "Data and pipelines are up to date." in shown.out
    assert "1 run that had been cut off: marked as killed." in shown.out
    assert (folder / "out.txt").read_text() == "quick\n"
    assert stages.lock(folder) == lock
    listed = json.loads(make.done(folder, "runs", "list", "--json"))
    assert [run["status"] for run in listed] == ["killed", "finished"]


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_of_many_short_stages_only_those_at_work_run_again(tmp_path: Path, jobs: str):
    """The lock is not written for each of them; what is not in it comes from the run cache."""
    count = 80
    lines = ["stages:"]
    for number in range(count):
        side_file = "$(dirname $ASSAY_LEDGER)/../../starts"
        lines += [
            f"  s{number:02d}:",
            f"    cmd: echo {number} >> {side_file}; echo {number} > {number}.txt",
            "    deps: [in.txt]",
            f"    outs: [{number}.txt]",
        ]
    text = "\n".join(lines) + "\n"
    folder = stages.pipeline(tmp_path / "project", text, {"in.txt": "1\n"})
    with start(folder, jobs) as running:
        while len(stages.starts(tmp_path / "starts")) < count // 2:
            assert running.poll() is None
            time.sleep(0.002)
        running.kill()
    make.done(folder, "repro", "-j", jobs)
    again = collections.Counter(stages.starts(tmp_path / "starts"))
    assert len(again) == count
    assert sum(again.values()) <= count + int(jobs)
    assert list(stages.locked(folder)) == [f"s{number:02d}" for number in range(count)]
    assert make.done(folder, "repro") == "Data and pipelines are up to date.\n"
