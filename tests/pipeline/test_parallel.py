"""Several stages at one time: the same results, the same lock, nothing left when it is ended."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.pipeline.schedule import Schedule
from assay.project.stages import Stage
from tests import make, stages
from tests.pipeline import diamond


@given(st.lists(st.sets(st.integers(0, 9)), min_size=1, max_size=10), st.randoms())
def test_a_stage_begins_after_all_that_it_needs_whatever_ends_first(needs, draw):
    listed = [_stage(str(number)) for number in range(len(needs))]
    upstream = {
        str(number): [str(need) for need in some if need < number]
        for number, some in enumerate(needs)
    }
    schedule, done = Schedule(listed, upstream), set[str]()
    at_work: list[str] = []
    begun: list[str] = []
    while len(done) < len(listed):
        while (stage := schedule.next()) is not None:
            assert done.issuperset(upstream[stage.address])
            at_work.append(stage.address)
            begun.append(stage.address)
        ended = at_work.pop(draw.randrange(len(at_work)))
        done.add(ended)
        schedule.done(ended)
    assert sorted(begun) == sorted(upstream)


def _stage(name: str) -> Stage:
    return Stage(name=name, address=name, file=Path("dvc.yaml"), wdir=Path())


def test_what_depends_on_a_dropped_stage_never_begins():
    listed = [_stage(name) for name in "abcd"]
    schedule = Schedule(listed, {"a": [], "b": ["a"], "c": ["b"], "d": []})
    assert schedule.drop("a") == ["b", "c"]
    schedule.done("a")
    assert [schedule.next(), schedule.next(), schedule.next()] == [listed[0], listed[3], None]


MEETING = """
stages:
  one: {cmd: 'touch ../one; until [ -e ../two ]; do sleep 0.01; done; echo 1 > 1', outs: ['1']}
  two: {cmd: 'touch ../two; until [ -e ../one ]; do sleep 0.01; done; echo 2 > 2', outs: ['2']}
"""


def test_independent_stages_run_at_the_same_time(tmp_path: Path):
    folder = stages.pipeline(tmp_path / "project", MEETING)
    assert diamond.states(folder, "-j", "2") == {"one": "ran", "two": "ran"}


@pytest.mark.parametrize("jobs", ["2", "5"])
def test_lock_cache_and_outputs_are_those_of_one_after_the_other(tmp_path: Path, jobs: str):
    first, _ = diamond.new(tmp_path / "first")
    second, _ = diamond.new(tmp_path / "second")
    make.done(first, "repro", "-P")
    make.done(second, "repro", "-P", "-j", jobs)
    assert left_by(second) == left_by(first)
    assert make.done(second, "repro", "-P", "-j", jobs) == "Data and pipelines are up to date.\n"


def left_by(folder: Path) -> dict[str, Any]:
    """Return all that a `repro` wrote; the lines of `.gitignore` in no order."""
    found = make.snapshot(folder, without=(".git", ".assay", "tmp"))
    for name in (".gitignore", "sub/.gitignore"):
        found[name] = sorted(found[name][1].splitlines())
    return found


def test_the_lock_is_in_the_order_of_the_plan_whatever_ends_first(tmp_path: Path):
    text = "stages:\n" + "".join(
        f"  s{n}: {{cmd: 'sleep 0.{4 - n}; echo {n} > {n}', outs: ['{n}']}}\n" for n in range(4)
    )
    folder = stages.pipeline(tmp_path / "project", text)
    make.done(folder, "repro", "-j", "4")
    assert list(stages.locked(folder)) == ["s0", "s1", "s2", "s3"]


def test_each_line_says_which_stage_printed_it(tmp_path: Path):
    text = """
stages:
  loud: {cmd: "echo one; echo two >&2; printf end"}
  other: {cmd: echo three}
"""
    folder = stages.pipeline(tmp_path / "project", text)
    lines = make.done(folder, "repro", "-j", "2").splitlines()
    for line in (
        "[loud] one",
        "[loud] two",
        "[loud] end",
        "[other] three",
        "[other] > echo three",
    ):
        assert line in lines
    assert "one" in make.done(folder, "repro", "loud").splitlines()


def test_the_run_has_a_child_for_each_stage_with_what_it_used(tmp_path: Path):
    folder, _ = diamond.new(tmp_path)
    make.done(folder, "repro", "-j", "3")
    shown = json.loads(make.done(folder, "runs", "show", "--json"))
    children = {row["stage"]: row for row in shown["children"]}
    assert set(children) == {*diamond.DIAMOND, "alone"}
    for row in children.values():
        assert row["status"] == "finished"
        assert row["exit_status"] == 0
        assert row["peak_memory"] > 1_000_000
        assert row["cpu_seconds"] >= 0


def test_a_stage_that_uses_the_sdk_writes_to_its_own_run(tmp_path: Path):
    text = """
stages:
  a: {cmd: python log.py 1, deps: [log.py], outs: [out1]}
  b: {cmd: python log.py 2, deps: [log.py], outs: [out2]}
"""
    script = (
        "import sys, assay\nassay.log_metric('n', float(sys.argv[1]))\n"
        "open('out' + sys.argv[1], 'w').write('x')\n"
    )
    folder = stages.pipeline(tmp_path / "project", text, {"log.py": script})
    make.done(folder, "repro", "-j", "2")
    shown = json.loads(make.done(folder, "runs", "show", "--json"))
    found = {row["stage"]: row["metrics"]["n"]["value"] for row in shown["children"]}
    assert found == {"a": 1.0, "b": 2.0}


def test_a_stage_that_fails_lets_those_that_run_end_and_no_other_begin(tmp_path: Path):
    text = """
stages:
  fails: {cmd: 'until [ -e ../started ]; do sleep 0.01; done; exit 3', outs: [f]}
  slow: {cmd: 'touch ../started; sleep 0.5; echo slow > slow', outs: [slow]}
  later: {cmd: echo later > later, deps: [slow], outs: [later]}
  other: {cmd: echo other > other, outs: [other]}
"""
    folder = stages.pipeline(tmp_path / "project", text)
    shown = make.assay(folder, "repro", "-j", "2")
    assert shown.code == 255
    assert "stage 'fails'" in shown.err
    assert list(stages.locked(folder)) == ["slow"]
    assert not (folder / "other").exists()


SLEEPERS = """
stages:
  done: {cmd: echo d > d, outs: [d]}
  a: {cmd: 'echo half > a; echo $$ > ../pid-a; sleep 60; true', deps: [in], outs: [a]}
  b: {cmd: '(sleep 60; true) & echo $! > ../pid-b; wait', deps: [in], outs: [b]}
"""


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_what_ends_it_ends_all_groups_and_leaves_the_lock_as_it_was(
    tmp_path: Path, number: signal.Signals
):
    quick = SLEEPERS.replace("sleep 60", "sleep 0").replace("echo half > a", "cat in > a")
    quick = quick.replace("wait'", "wait; cat in > b'")
    folder = stages.pipeline(tmp_path / "project", quick, {"in": "1\n"})
    make.done(folder, "repro")
    lock = stages.lock(folder)
    make.write(folder, {"in": "2\n", "dvc.yaml": SLEEPERS})
    for name in "ab":
        (tmp_path / f"pid-{name}").unlink()
    command = make.command("repro", "-j", "2")
    with subprocess.Popen(command, cwd=folder, stderr=subprocess.PIPE, text=True) as running:
        pids = [_pid(tmp_path / f"pid-{name}") for name in "ab"]
        running.send_signal(number)
        _, said = running.communicate(timeout=30)
    if number != signal.SIGKILL:
        assert running.returncode == 130, said
        assert (folder / "a").read_text() == (folder / "b").read_text() == "1\n"
    deadline = time.monotonic() + 10
    while any(map(_is_running, pids)):
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert stages.lock(folder) == lock
    make.write(folder, {"in": "1\n", "dvc.yaml": quick})
    make.done(folder, "repro", "-j", "2")
    assert (folder / "a").read_text() == (folder / "b").read_text() == "1\n"
    assert stages.lock(folder) == lock
    listed = json.loads(make.done(folder, "runs", "list", "--json", "--all"))
    assert not [run for run in listed if run["status"] in {"running", "failed"}]


def _pid(path: Path) -> int:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text().strip()):
        assert time.monotonic() < deadline, f"{path.name} was not written"
        time.sleep(0.01)
    return int(path.read_text())


def _is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in "ZX"


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["-j", "0"], "0 is not in the range x>=1"),
        (["-j", "2", "-i"], "'--interactive' and '--jobs' exclude each other"),
    ],
)
def test_numbers_and_flags_that_cannot_be_are_refused(
    tmp_path: Path, arguments: list[str], what: str
):
    folder, side = diamond.new(tmp_path)
    shown = make.assay(folder, "repro", *arguments)
    assert shown.code == 2
    assert what in shown.err
    assert not side.exists()


@st.composite
def pipelines(draw: st.DrawFn) -> tuple[str, list[set[int]]]:
    count = draw(st.integers(2, 6))
    needs = [
        draw(st.sets(st.integers(0, n - 1), max_size=2)) if n else set() for n in range(count)
    ]
    lines = ["stages:"]
    for number, some in enumerate(needs):
        deps = ["in.txt", *(f"{need}.txt" for need in sorted(some))]
        lines += [
            f"  s{number}:",
            f"    cmd: cat {' '.join(deps)} > {number}.txt",
            f"    deps: [{', '.join(deps)}]",
            f"    outs: [{number}.txt]",
        ]
    return "\n".join(lines) + "\n", needs


@settings(max_examples=6, deadline=None)
@given(pipelines(), st.integers(2, 4))
def test_any_pipeline_gives_the_same_lock_with_any_number_of_jobs(tmp_path_factory, drawn, jobs):
    text, _ = drawn
    place = tmp_path_factory.mktemp("drawn")
    folder = stages.pipeline(place / "project", text, {"in.txt": "1\n"})
    again = shutil.copytree(folder, place / "again", symlinks=True)
    make.done(folder, "repro")
    make.done(again, "repro", "-j", str(jobs))
    assert stages.lock(again) == stages.lock(folder)
    assert {path.name for path in again.iterdir()} == {path.name for path in folder.iterdir()}
