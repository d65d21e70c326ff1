"""`exp show` and `exp diff`: every experiment as a row, read once."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests import make
from tests.pipeline.experiments import tried


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return tried.two(tmp_path)


def rows(root: Path, *arguments: str) -> list[dict[str, str]]:
    out = make.done(root, "exp", "show", "--csv", *arguments)
    return list(csv.DictReader(io.StringIO(out)))


def document(root: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(make.done(root, "exp", "show", "--json", *arguments))
    return found


def test_workspace_baseline_and_experiments_are_rows(root):
    found = rows(root)
    assert [row["rev"] for row in found[:2]] == ["workspace", "main"]
    assert {(r["Experiment"], r["lr"], r["acc"]) for r in found[2:]} == {
        ("one", "0.5", "0.5"),
        ("two", "0.6", "0.6"),
    }
    assert [row["typ"] for row in found] == [
        "baseline",
        "baseline",
        "branch_commit",
        "branch_base",
    ]
    assert found[1]["acc"] == "!"


def test_people_see_a_tree(root):
    lines = make.done(root, "exp", "show").splitlines()
    assert lines[0].split() == ["Experiment", "Created", "acc", "lr", "n", "train.py"]
    assert lines[3].startswith("├── ")
    assert lines[4].startswith("└── ")
    assert "| --- |" in make.done(root, "exp", "show", "--md")


def test_hashes_are_short_for_people_and_whole_in_csv(root):
    whole = rows(root)[-1]["train.py"]
    assert len(whole) == 32
    for form in ([], ["--md"]):
        out = make.done(root, "exp", "show", *form)
        assert whole[:7] in out
        assert whole[:8] not in out


def test_what_the_queue_ran_is_called_so_for_people_and_as_dvc_does_in_json(root):
    make.done(root, "exp", "run", "--queue", "-n", "later", "-S", "lr=0.7")
    make.done(root, "exp", "run", "--run-all")
    line = next(x for x in make.done(root, "exp", "show").splitlines() if "[later]" in x)
    assert line.split()[4:6] == ["Success", "Queue"]
    assert {row["Executor"] for row in rows(root)} == {"", "Dvc-task"}
    found = document(root)[1]["experiments"]
    assert [one["executor"]["name"] for one in found if one["executor"]] == ["dvc-task"]


def test_a_commit_is_read_once(root, monkeypatch):
    log = root.parent / "git.log"
    document(root)
    monkeypatch.setenv("GIT_TRACE", str(log))
    again = document(root)
    started = [line for line in log.read_text().splitlines() if "trace: built-in:" in line]
    assert not [line for line in started if "cat-file" in line and "--batch" not in line]
    assert not [line for line in started if again[1]["experiments"][0]["revs"][0]["rev"] in line]
    monkeypatch.delenv("GIT_TRACE")
    assert document(root, "--force") == again


def test_more_experiments_start_no_more_processes(root, monkeypatch):
    def started() -> Any:
        log = root.parent / "git.log"
        log.unlink(missing_ok=True)
        with monkeypatch.context() as patch:
            patch.setenv("GIT_TRACE", str(log))
            document(root, "--force")
        return log.read_text().count("trace: built-in:")

    before = started()
    for number in (3, 4):
        make.git(root, "update-ref", tried.ref(root, f"e{number}"), tried.ref(root, "one"))
        make.done(root, "exp", "run", "--temp", "-n", f"f{number}", "-S", f"lr=0.{number}")
    assert started() == before
    assert len(document(root)[1]["experiments"]) == 6


def test_columns_can_be_chosen(root):
    assert "n" in rows(root)[0]
    assert "n" not in rows(root, "--only-changed")[0]
    assert "n" in rows(root, "--only-changed", "--keep", "n")[0]
    assert "acc" not in rows(root, "--drop", "acc|train.*")[0]
    assert "train.py" not in rows(root, "--drop", "acc|train.*")[0]


def test_experiments_are_sorted_by_a_value(root):
    make.done(root, "exp", "run", "--temp", "-n", "low", "-S", "lr=0.2")
    rising = [row["Experiment"] for row in rows(root, "--sort-by", "acc")]
    assert rising[2:] == ["low", "one", "two"]
    falling = [
        row["Experiment"] for row in rows(root, "--sort-by", "m.json:acc", "--sort-order", "desc")
    ]
    assert falling[2:] == ["two", "one", "low"]


def test_baselines_are_chosen_as_commits_are(root):
    make.write(root, {"later.txt": "x"})
    make.commit(root)
    make.git(root, "tag", "v2")
    assert [row["rev"] for row in rows(root)] == ["workspace", "main"]
    assert len(rows(root, "-n", "2")) == 5
    assert len(rows(root, "-A")) == 5
    assert len(rows(root, "-T")) == 2
    assert len(rows(root, "-a", "-n", "2")) == 5
    assert rows(root, "--rev", "HEAD~1", "--hide-workspace", "--sha")[0]["typ"] == "baseline"
    assert rows(root, "--rev", "HEAD~1", "--hide-workspace")[1]["Experiment"] in {"one", "two"}


def test_what_waits_failed_and_ran_in_the_queue_says_so(root):
    make.done(root, "exp", "run", "--queue", "-n", "s", "-S", "lr=0.9,0.3")
    assert make.assay(root, "exp", "run", "--run-all").code == 255
    make.done(root, "exp", "run", "--queue", "-n", "w", "-S", "lr=0.4")
    found = {row["Experiment"]: row for row in rows(root)}
    states = {name: found[name]["State"] for name in ("s-1", "s-2", "w", "one")}
    assert states["s-1"] == "Failed"
    assert states["s-2"] == "Success"
    assert states["w"] in {"Queued", "Running"}
    assert states["one"] == ""
    assert found["s-1"]["lr"] == "0.9"
    assert found["s-1"]["acc"] == ""
    hidden = {row["Experiment"] for row in rows(root, "--hide-failed", "--hide-queued")}
    assert "s-1" not in hidden


def test_only_parameters_of_stages_can_be_shown(root):
    make.write(root, {"params.yaml": tried.PARAMS + "unused: 1\n"})
    assert "unused" in rows(root)[0]
    assert "unused" not in rows(root, "--param-deps")[0]


def test_a_commit_that_cannot_be_read_is_a_row_with_its_error(root):
    make.write(root, {"dvc.yaml": "stages: [\n"})
    make.commit(root)
    make.git(root, "checkout", "-q", "HEAD~1", "--", "dvc.yaml")
    found = document(root)
    assert found[1]["data"] is None
    assert "dvc.yaml" in found[1]["error"]["msg"]
    assert found[0]["error"] is None


def test_before_the_first_commit_there_is_nothing_to_show(tmp_path):
    root = make.project(tmp_path / "p")
    shown = make.assay(root, "exp", "show")
    assert (shown.code, shown.out) == (0, "")
    assert "git commit" in shown.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--sort-by", "ac"], "did you mean 'acc'?"),
        (["--keep", "["], "it is no pattern"),
        (["--json", "--csv"], "two forms"),
        (["-n", "0"], "expected 1 or more"),
    ],
)
def test_bad_input_is_refused(root, arguments, said):
    shown = make.assay(root, "exp", "show", *arguments)
    assert shown.code == 2
    assert said in shown.err


def test_two_experiments_are_compared(root):
    found = json.loads(make.done(root, "exp", "diff", "one", "two", "--json"))
    assert found["params"] == {"params.yaml": {"lr": {"old": 0.5, "new": 0.6, "diff": 0.1}}} or (
        found["params"]["params.yaml"]["lr"]["diff"] == 0.6 - 0.5
    )
    assert found["metrics"]["m.json"]["acc"]["new"] == 0.6
    text = make.done(root, "exp", "diff", "one", "two", "--no-path")
    assert text.splitlines()[0].split() == ["Metric", "one", "two", "Change"]
    assert (
        "n"
        in json.loads(make.done(root, "exp", "diff", "--all", "--json"))["params"]["params.yaml"]
    )
