"""Where a run cannot be done again to the bit: the first stage that differs, and why."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests import make, stages

if TYPE_CHECKING:
    import pytest

PYTHON = f"{sys.executable} -S"


def one(folder: Path, code: str, *, more: str = "") -> Path:
    """Make and run a project of one stage, a script that writes `out.txt`."""
    text = f"""
stages:
  first:
    cmd: echo 1 > first.txt
    outs: [first.txt]
  made:
    cmd: {PYTHON} made.py
    deps: [made.py, first.txt]
    outs: [out.txt]
{more}"""
    root = stages.pipeline(folder / "project", text, {"made.py": code})
    make.done(root, "repro")
    return root


def again(folder: Path, *arguments: str, code: int = 0) -> dict[str, Any]:
    before = make.git(folder, "status", "--porcelain")
    shown = make.assay(folder, "reproduce", "--json", *arguments)
    assert shown.code == code, shown
    assert make.git(folder, "status", "--porcelain") == before
    assert list((folder / ".assay" / "worktrees").iterdir()) == []
    found: dict[str, Any] = json.loads(shown.out)
    return found


def edited(folder: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Write another environment into the record, as if the run were of another machine."""
    with sqlite3.connect(folder / ".assay" / "ledger.db") as ledger:
        for oid, content in ledger.execute("select oid, content from environment").fetchall():
            recorded = json.loads(content)
            change(recorded)
            query = "update environment set content = ? where oid = ?"
            ledger.execute(query, [json.dumps(recorded), oid])
    ledger.close()


def test_a_stage_without_a_seed_is_run_twice_and_said_to_be_random(tmp_path: Path):
    folder = one(tmp_path, "import os\nopen('out.txt', 'w').write(os.urandom(9).hex())\n")
    found = again(folder, code=1)
    assert found["parted"] == "made"
    assert [(s["stage"], s["deterministic"]) for s in found["stages"]] == [
        ("first", None), ("made", False),
    ]  # fmt: skip
    (cause,) = found["causes"]
    assert (cause["kind"], cause["is_shown"]) == ("random", True)
    text = make.assay(folder, "reproduce").out
    assert "made: differs, NOT deterministic (" in text
    assert "Cause: it gives something else each time it runs: a seed that is not set" in text


def test_the_order_of_a_set_is_found_by_trying_a_hash_seed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    folder = one(tmp_path, "open('out.txt', 'w').write(str([hash(c) for c in 'abcdef']))\n")
    (cause,) = again(folder, code=1)["causes"]
    assert (cause["kind"], cause["is_shown"]) == ("hash_seed", True)
    assert cause["text"].endswith("with PYTHONHASHSEED=0 it gives the same each time")


THREADS = "import os\nopen('out.txt', 'w').write(os.environ.get('OMP_NUM_THREADS', 'all'))\n"


def test_another_number_of_threads_is_set_as_recorded_or_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    folder = one(tmp_path, THREADS)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    found = again(folder)
    assert (found["sameness"], found["environment_used"]) == ("identical", "recorded")
    assert found["notes"] == ["OMP_NUM_THREADS=2, as recorded"]
    assert found["environment"] == []
    found = again(folder, "--environment", "current", code=1)
    assert found["environment_used"] == "current"
    (cause,) = found["causes"]
    assert (cause["kind"], cause["is_shown"]) == ("threads", True)
    assert cause["text"] == (
        "threads: OMP_NUM_THREADS is 4, recorded 2; as recorded, the result is the same"
    )
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert again(folder)["sameness"] == "identical"


def test_a_hash_seed_is_set_as_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    folder = one(tmp_path, "open('out.txt', 'w').write(str(hash('a')))\n")
    monkeypatch.setenv("PYTHONHASHSEED", "8")
    assert again(folder)["sameness"] == "identical"
    (cause,) = again(folder, "--environment", "current", code=1)["causes"]
    assert (cause["kind"], cause["is_shown"]) == ("hash_seed", True)


def test_other_versions_and_another_processor_are_named_but_not_proved(tmp_path: Path):
    """A stage that reads a file outside stands for one that another machine computes."""
    outside = make.write(tmp_path, {"outside": "1"}) / "outside"
    folder = one(tmp_path, f"open('out.txt', 'w').write(open({str(outside)!r}).read())\n")
    outside.write_text("2")
    found = again(folder, code=1)
    assert [(c["kind"], c["is_shown"]) for c in found["causes"]] == [("unknown", False)]
    assert "nothing that is on record differs" in found["causes"][0]["text"]

    def change(recorded: dict[str, Any]) -> None:
        recorded["software"]["packages"].append("zzz-then==1.2")
        recorded["host"]["cpu_family"] = "Other 6"
        recorded["host"]["cores"] = 999

    edited(folder, change)
    found = again(folder, "--environment", "current", code=1)
    kinds = {c["kind"]: (c["text"], c["is_shown"]) for c in found["causes"]}
    assert kinds["versions"] == ("other versions: zzz-then is missing, recorded 1.2", False)
    assert kinds["processor"][0].endswith("recorded Other 6")
    assert kinds["threads"][0].endswith("cores, recorded 999")
    text = make.assay(folder, "reproduce", "--environment", "current").out
    assert "Perhaps: other versions: zzz-then is missing" in text


def test_only_the_first_stage_that_differs_is_run_again(tmp_path: Path):
    more = """
  last:
    cmd: cp out.txt last.txt
    deps: [out.txt]
    outs: [last.txt]
"""
    code = "import os\nopen('out.txt', 'w').write(os.urandom(9).hex())\n"
    folder = one(tmp_path, code, more=more)
    found = again(folder, code=1)
    assert [(s["stage"], s["sameness"], s["deterministic"]) for s in found["stages"]] == [
        ("first", "identical", None), ("made", "differs", False), ("last", "differs", None),
    ]  # fmt: skip


def test_twice_tells_of_each_stage_whether_it_is_deterministic(tmp_path: Path):
    folder = one(tmp_path, "open('out.txt', 'w').write('same')\n")
    found = again(folder, "--twice")
    assert [s["deterministic"] for s in found["stages"]] == [True, True]
    text = make.done(folder, "reproduce", "--twice")
    assert "made: identical, deterministic (" in text
    runs = json.loads(make.done(folder, "runs", "show", found["reproduction"], "--json"))
    tags = [(child["stage"], child["tags"]) for child in runs["children"]]
    assert tags == [
        ("first", {}), ("first", {"repetition": "2"}), ("made", {}), ("made", {"repetition": "2"}),
    ]  # fmt: skip


def test_a_stage_that_is_the_same_by_chance_is_found_by_running_it_twice(tmp_path: Path):
    """Each time that it runs in a place for the second time, it writes something else."""
    code = (
        "import pathlib\nmark = pathlib.Path('mark')\n"
        "open('out.txt', 'w').write('again' if mark.exists() else 'first')\nmark.touch()\n"
    )
    folder = one(tmp_path, code)
    (folder / "mark").unlink()
    assert again(folder)["sameness"] == "identical"
    found = again(folder, "--twice", code=1)
    assert found["sameness"] == "identical"
    assert [s["deterministic"] for s in found["stages"]] == [True, False]


def test_one_stage_is_done_again_on_what_it_read_then(tmp_path: Path):
    folder = one(tmp_path, "open('out.txt', 'w').write(open('first.txt').read())\n")
    found = again(folder, "--stage", "made", "--twice")
    assert [(s["stage"], s["deterministic"]) for s in found["stages"]] == [("made", True)]
    shown = make.assay(folder, "reproduce", "--stage", "maed")
    assert shown.code == 255
    assert "the run has no stage 'maed'\n  hint: did you mean 'made'?" in shown.err


def test_within_a_tolerance_nothing_is_run_a_second_time(tmp_path: Path):
    code = (
        "import os\nnoise = os.urandom(1)[0] * 1e-9 + 1e-12\n"
        "open('out.txt', 'w').write('1')\n"
        "open('m.json', 'w').write(f'{{\"a\": {1 + noise}}}')\n"
    )
    folder = one(tmp_path, code, more="    metrics: [{m.json: {cache: false}}]\n")
    found = again(folder, "--rtol", "1e-3")
    assert found["sameness"] in {"close", "identical"}
    assert found["stages"][1]["deterministic"] is None
    assert found["causes"] == []


CLOSE = """
stages:
  close:
    cmd: PYTHON close.py
    outs: [noise.csv]
  differs:
    cmd: PYTHON differs.py
    deps: [noise.csv]
    outs: [out.txt]
"""


def test_within_a_tolerance_the_first_stage_beyond_it_is_named_with_its_cause(tmp_path: Path):
    noise = "import os\nnoise = (1 + int.from_bytes(os.urandom(4), 'big')) * 1e-15\n"
    files = {
        "close.py": f"{noise}open('noise.csv', 'w').write(f'x\\n{{1 + noise!r}}\\n')\n",
        "differs.py": "import os\nopen('out.txt', 'w').write(os.urandom(9).hex())\n",
    }
    folder = stages.pipeline(tmp_path / "project", CLOSE.replace("PYTHON", PYTHON), files)
    make.done(folder, "repro")
    for more, deterministic in (((), None), (("--twice",), False)):
        found = again(folder, "--rtol", "1e-4", *more, code=1)
        assert [(s["stage"], s["sameness"], s["deterministic"]) for s in found["stages"]] == [
            ("close", "close", deterministic), ("differs", "differs", False),
        ]  # fmt: skip
        assert found["parted"] == "differs"
        assert [one["kind"] for one in found["causes"]] == ["random", "inputs"]
    text = make.assay(folder, "reproduce", "--rtol", "1e-4").out
    assert "DIFFERENT from stage 'differs' on" in text
    assert "Perhaps: it runs after 'close': close to the record, and not identical." in text


def test_names_of_a_record_do_not_steer_the_terminal(tmp_path: Path):
    folder = one(tmp_path, "open('out.txt', 'w').write('same')\n")
    edited(folder, lambda recorded: recorded["software"]["packages"].append("a\x1b[2J==1"))
    shown = make.assay(folder, "reproduce", "--environment", "current")
    assert "a\\x1b[2J is missing, recorded 1" in shown.out
    assert "\x1b" not in shown.out + shown.err


def counted(folder: Path, code: str) -> tuple[Path, Callable[[], int]]:
    """Make and run a project of one stage; return also what counts the runs of it since then."""
    calls = folder / "calls"
    root = one(folder, f"open({str(calls)!r}, 'a').write('x')\n{code}")
    calls.unlink()

    def count() -> int:
        n_runs = len(calls.read_text())
        calls.unlink()
        return n_runs

    return root, count


RANDOM = "import os\nopen('out.txt', 'w').write(os.urandom(9).hex())\n"
HASHED = "open('out.txt', 'w').write(str([hash(c) for c in 'abcdef']))\n"


def test_a_stage_is_run_three_times_at_most_and_twice_where_that_tells_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.delenv("PYTHONHASHSEED", raising=False)
    outside = make.write(tmp_path, {"outside": "1"}) / "outside"
    elsewhere = f"open('out.txt', 'w').write(open({str(outside)!r}).read())\n"
    projects = {
        kind: counted(tmp_path / kind, code)
        for kind, code in (("random", RANDOM), ("hash_seed", HASHED), ("unknown", elsewhere))
    }
    outside.write_text("2")
    for kind, n_runs in (("random", 3), ("hash_seed", 3), ("unknown", 2)):
        folder, count = projects[kind]
        assert [one["kind"] for one in again(folder, code=1)["causes"]] == [kind]
        assert count() == n_runs, kind
    folder, count = projects["unknown"]
    outside.write_text("1")
    assert again(folder)["sameness"] == "identical"
    assert count() == 1


def test_variables_that_differ_are_tried_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    monkeypatch.setenv("PYTHONHASHSEED", "7")
    folder, count = counted(tmp_path, THREADS)
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    monkeypatch.setenv("PYTHONHASHSEED", "8")
    (cause,) = again(folder, "--environment", "current", code=1)["causes"]
    assert cause["is_shown"]
    assert cause["text"] == (
        "PYTHONHASHSEED is 8, recorded 7; threads: OMP_NUM_THREADS is 4, recorded 2; "
        "as recorded, the result is the same"
    )
    assert count() == 3


def took_minutes(folder: Path) -> None:
    """Write into the record that its runs took longer, as those of a real training do."""
    with sqlite3.connect(folder / ".assay" / "ledger.db") as ledger:
        ledger.execute("update run set start = start - 61000")
    ledger.close()


def test_a_stage_that_took_minutes_is_run_once_unless_it_is_asked_why(tmp_path: Path):
    folder, count = counted(tmp_path, RANDOM)
    took_minutes(folder)
    found = again(folder, code=1)
    assert count() == 1
    assert (found["parted"], found["is_cause_sought"], found["causes"]) == ("made", False, [])
    assert found["stages"][1]["deterministic"] is None
    text = make.assay(folder, "reproduce").out
    assert count() == 1
    assert (
        "The cause was not looked for, since stage 'made' takes more than a minute and would be "
        "run again, up to twice: '--why' does that.\n"
    ) in text
    found = again(folder, "--why", code=1)
    assert count() == 3
    assert found["is_cause_sought"]
    assert [one["kind"] for one in found["causes"]] == ["random"]
    found = again(folder, "--twice", code=1)
    assert count() == 2
    assert [one["kind"] for one in found["causes"]] == ["random"]


def test_a_stage_that_took_minutes_has_what_differs_around_it_named(tmp_path: Path):
    folder, count = counted(tmp_path, RANDOM)
    took_minutes(folder)
    edited(folder, lambda recorded: recorded["software"]["packages"].append("zzz-then==1.2"))
    text = make.assay(folder, "reproduce", "--environment", "current").out
    assert count() == 1
    assert "Perhaps: other versions: zzz-then is missing, recorded 1.2.\n" in text
    assert "'--why' does that" in text


def test_a_script_that_took_minutes_is_run_once_unless_it_is_asked_why(tmp_path: Path):
    calls = tmp_path / "calls"
    code = (
        f"import os, assay\nopen({str(calls)!r}, 'a').write('x')\n"
        "with assay.run('r'):\n    assay.log_metric('x', int.from_bytes(os.urandom(6), 'big'))\n"
    )
    folder = make.write(make.project(tmp_path / "project"), {"s.py": code})
    make.commit(folder)
    subprocess.run([sys.executable, "s.py"], cwd=folder, check=True, capture_output=True)
    took_minutes(folder)
    calls.unlink()
    text = make.assay(folder, "reproduce").out
    assert calls.read_text() == "x"
    assert "since the script takes more than a minute" in text
    assert [one["kind"] for one in again(folder, "--why", code=1)["causes"]] == ["random"]
    assert calls.read_text() == "xxxx"


def test_what_is_the_same_each_time_now_has_a_cause_beside_what_is_random(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    code = (
        "import json, os\nopen('out.txt', 'w').write(os.environ.get('MYENV', 'none'))\n"
        "json.dump({'x': int.from_bytes(os.urandom(6), 'big')}, open('m.json', 'w'))\n"
    )
    monkeypatch.setenv("MYENV", "a")
    folder = one(tmp_path, code, more="    metrics: [{m.json: {cache: false}}]\n")
    monkeypatch.delenv("MYENV")
    text = make.assay(folder, "reproduce").out
    assert (
        "Cause: 'm.json' gives something else each time it runs: a seed that is not set, a clock, "
        "the order of files or of threads.\n"
        "Perhaps: 'out.txt' gives the same each time now, and nothing that is on record differs: "
        "it may read a clock, the network, a file outside the project, or a variable.\n"
    ) in text
    edited(folder, lambda recorded: recorded["software"]["packages"].append("zzz-then==1.2"))
    found = again(folder, "--environment", "current", code=1)
    assert [(one["kind"], one["is_shown"]) for one in found["causes"]] == [
        ("random", True), ("versions", False),
    ]  # fmt: skip
    assert found["causes"][1]["text"] == (
        "'out.txt' gives the same each time now; other versions: zzz-then is missing, recorded 1.2"
    )
    monkeypatch.setenv("MYENV", "a")
    found = again(folder, "--environment", "current", code=1)
    assert [one["kind"] for one in found["causes"]] == ["random"]
