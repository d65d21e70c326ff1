"""A script is followed to the runs that ran it, in whichever version, by what they recorded."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from assay.ledger.database import open_ledger
from assay.ledger.writer import Code, Data, Writer
from assay.project import workspace
from tests import make

TRAIN = """
import assay, sys
with assay.run(sys.argv[1]):
    assay.log_metric("loss", {loss})
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = make.project(tmp_path / "project")
    make.write(made, {"train.py": TRAIN.format(loss=1)})
    make.commit(made)
    return made


def call(folder: Path, *arguments: str) -> None:
    """Run Python with arguments, in a process of its own."""
    done = subprocess.run(
        [sys.executable, *arguments], cwd=folder, check=False, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def trace(folder: Path, thing: str, *options: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(make.done(folder, "trace", "--json", thing, *options))
    return found


def ran(found: dict[str, Any]) -> list[str]:
    """Return the runs that ran the root: what each is, and its version of the file."""
    return [
        node["label"].partition(": ")[2]
        for node in found["led_to"]
        if node["relation"] == "ran as"
    ]


def test_a_script_leads_to_its_runs_the_newest_first_each_with_its_version(folder: Path):
    commit = make.git(folder, "rev-parse", "HEAD").strip()[:12]
    call(folder, "train.py", "committed")
    make.write(folder, {"train.py": TRAIN.format(loss=2)})
    call(folder, "train.py", "edited")
    found = trace(folder, "train.py")
    old = trace(folder, "train.py@HEAD")["thing"]["id"].removeprefix("data:")[:12]
    assert ran(found) == [
        f"script 'edited'  (this version: commit {commit} with uncommitted changes to it)",
        f"script 'committed'  (version {old}: commit {commit})",
    ]
    assert [node["children"][0]["label"] for node in found["led_to"]] == [
        "metric loss = 2", "metric loss = 1",
    ]  # fmt: skip
    assert ran(trace(folder, "train.py@HEAD"))[1] == (
        f"script 'committed'  (this version: commit {commit})"
    )


def test_a_script_that_git_did_not_know_leads_to_its_run(folder: Path):
    make.write(folder, {"new.py": TRAIN.format(loss=3)})
    call(folder, "new.py", "untracked")
    assert ran(trace(folder, "new.py")) == [
        "script 'untracked'  (this version: untracked by git then, kept with the run)"
    ]


@pytest.mark.parametrize(
    ("path", "arguments", "where"),
    [
        ("pkg/mod.py", ("-m", "pkg.mod", "it"), "."),
        ("pkg/__main__.py", ("-m", "pkg", "it"), "."),
        ("pkg/mod.py", ("-O", "-X", "dev", "-m", "pkg.mod", "it"), "."),
        ("pkg/mod.py", ("-Om", "pkg.mod", "it"), "."),
        ("pkg/mod.py", ("-W", "ignore", "pkg/mod.py", "it"), "."),
        ("pkg/mod.py", ("mod.py", "it"), "pkg"),
        ("pkg/my code.py", ("pkg/my code.py", "it"), "."),
        ("pkg/it's.py", ("pkg/it's.py", "it"), "."),
    ],
)
def test_a_script_is_found_however_it_was_called(
    folder: Path, path: str, arguments: tuple[str, ...], where: str
):
    make.write(folder, {path: TRAIN.format(loss=4)})
    make.commit(folder)
    call(folder / where, *arguments)
    (label,) = ran(trace(folder, path))
    assert label.startswith("script 'it'  (this version: commit ")
    assert trace(folder, "train.py")["led_to"] == []


@pytest.mark.parametrize("where", [".", "below"])
def test_a_module_is_found_where_python_looked_for_it(
    tmp_path: Path, where: str, monkeypatch: pytest.MonkeyPatch
):
    root = make.repository(tmp_path / "repository")
    folder = root / where
    folder.mkdir(exist_ok=True)
    workspace.init(folder, subdir=where != ".")
    make.write(folder, {"src/pkg/mod.py": TRAIN.format(loss=4), "src/pkg/__init__.py": ""})
    make.commit(root)
    monkeypatch.setenv("PYTHONPATH", "src")
    call(folder, "-O", "-m", "pkg.mod", "it")
    (label,) = ran(trace(folder, "src/pkg/mod.py"))
    assert label.startswith("script 'it'  (this version: commit ")
    (script, _) = trace(folder, "latest")["came_from"]
    assert (script["relation"], names(script)) == ("ran", "src/pkg/mod.py")
    make.write(folder, {"other/pkg/mod.py": TRAIN.format(loss=4)})
    make.commit(root)
    call(folder, "-m", "pkg.mod", "either")
    assert [one.partition("  ")[0] for one in ran(trace(folder, "src/pkg/mod.py"))] == [
        "script 'it'"
    ]
    assert trace(folder, "other/pkg/mod.py")["led_to"] == []


def test_a_script_at_an_absolute_path_is_found_in_its_project_alone(folder: Path):
    call(folder, str(folder / "train.py"), "here")
    other = make.write(folder.parent / "other", {"train.py": TRAIN.format(loss=5)})
    call(folder, str(other / "train.py"), "elsewhere")
    (label,) = ran(trace(folder, "train.py"))
    assert label.startswith("script 'here'")


def test_a_run_says_which_version_of_its_script_it_ran(folder: Path):
    call(folder, "train.py", "it")
    make.write(folder, {"train.py": TRAIN.format(loss=2)})
    call(folder, "train.py", "again")
    run = json.loads(make.done(folder, "runs", "list", "--json"))[0]["id"]
    (script, code) = trace(folder, run)["came_from"]
    assert (script["relation"], script["id"]) == ("ran", trace(folder, "train.py")["thing"]["id"])
    assert script["children"][0]["label"] == f"the uncommitted changes of run {run[:13]}"
    assert code["relation"] == "code of"
    first, _ = trace(folder, "latest~1")["came_from"]
    assert first["id"] == trace(folder, "train.py@HEAD")["thing"]["id"]
    assert first["children"][0]["label"].startswith("in git at commit ")


def test_of_many_runs_of_a_script_the_newest_are_shown_and_the_others_counted(folder: Path):
    code = Code(commit=make.git(folder, "rev-parse", "HEAD").strip())
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        writer = Writer(ledger)
        for number in range(12):
            writer.start_run(
                name=f"r{number}", kind="script", command="train.py x", directory=".", code=code,
                at=number,
            )  # fmt: skip
    found = trace(folder, "train.py")
    assert [label.partition("'")[2].partition("'")[0] for label in ran(found)] == [
        f"r{number}" for number in range(11, 1, -1)
    ]  # fmt: skip
    assert found["led_to"][-1]["label"] == "… and 2 more runs of it"
    assert len(ran(trace(folder, "train.py", "--all"))) == 12


@pytest.mark.parametrize(
    ("command", "directory"),
    [
        ("other/train.py", "."), ("train.py", "sub"), ("train.py", None), ("-c", "."),
        ("notes.txt train.py", "."), ("python -m train.py", "."), ("'train.py", "."),
        ("python -O -c train.py", "."), ("python -O other.py -m train", "."),
        ("python -W train.py other.py", "."),
    ],
)  # fmt: skip
def test_a_command_that_ran_another_file_is_no_evidence(
    folder: Path, command: str, directory: str | None
):
    commit = make.git(folder, "rev-parse", "HEAD").strip()
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        Writer(ledger).start_run(
            name="x", kind="script", command=command, directory=directory, code=Code(commit=commit)
        )
    assert trace(folder, "train.py")["led_to"] == []


def test_a_run_whose_code_did_not_have_the_file_is_not_among_them(folder: Path):
    commit = make.git(folder, "rev-parse", "HEAD").strip()
    make.write(folder, {"late.py": "1\n"})
    gone = "sha256:" + "0" * 64
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        writer = Writer(ledger)
        for name, code in (
            ("before", Code(commit=commit)), ("nothing", None),
            ("elsewhere", Code(commit="e" * 40)), ("gone", Code(commit=commit, diff=gone)),
        ):  # fmt: skip
            for file in ("late.py", "train.py"):
                writer.start_run(
                    name=f"{name} {file}", kind="script", command=file, directory=".", code=code
                )
    unknown = "version unknown: commit eeeeeeeeeeee, which this clone does not have"
    assert ran(trace(folder, "late.py")) == [f"script 'elsewhere late.py', running  ({unknown})"]
    assert [label.rpartition("(")[2] for label in ran(trace(folder, "train.py"))] == [
        f"version unknown: commit {commit[:12]} with uncommitted changes that are gone)",
        f"{unknown})",
        f"this version: commit {commit[:12]})",
    ]


STAGES = """
stages:
  prepare:
    cmd: python prepare.py > out.txt
    outs: [out.txt]
  shell:
    cmd:
    - cd sub && ./go < in.txt > made.py
    - cat notes.py && echo done
    outs: [sub/made.py]
  reads:
    cmd: python reads.py
    deps: [reads.py]
"""


def test_a_file_that_the_command_of_a_stage_names_leads_to_it(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    files = {
        "dvc.yaml": STAGES, "prepare.py": "print(1)\n", "reads.py": "print(2)\n",
        "sub/in.txt": "1\n", "notes.py": "", "sub/go": "#!/bin/sh\necho hi\n",
    }  # fmt: skip
    make.write(folder, files)
    (folder / "sub" / "go").chmod(0o755)
    make.commit(folder)
    make.done(folder, "repro")
    for path, stage in (("prepare.py", "prepare"), ("sub/go", "shell"), ("notes.py", "shell")):
        (label,) = ran(trace(folder, path))
        assert label.startswith(f"stage '{stage}'  (this version: commit ")
    assert trace(folder, "sub/made.py")["led_to"] == []
    (read,) = trace(folder, "reads.py")["led_to"]
    assert read["relation"] == "read by"
    (stage,) = trace(folder, "sub/made.py")["came_from"]
    programs = [names(node) for node in stage["children"] if node["relation"] == "ran"]
    assert programs == ["sub/go", "notes.py"]
    make.write(folder, {"reads.py": "print(3)\n"})
    (label,) = ran(trace(folder, "reads.py"))
    assert label.endswith(f"(version {read_oid(folder)}: as it read it)")


def read_oid(folder: Path) -> str:
    """Return the beginning of the hash of a file's version in HEAD."""
    return str(trace(folder, "reads.py@HEAD")["thing"]["id"]).removeprefix("data:")[:12]


NESTED = """
import assay, pathlib
with assay.run("outer", params={"alpha": 1}):
    assay.log_dataset("in.txt")
    with assay.run("inner"):
        with assay.run("innermost"):
            pathlib.Path("plot.txt").write_text("plot")
            assay.log_artifact("plot.txt")
            assay.log_artifact("in.txt")
            pathlib.Path("scores.json").write_text('{"mae": 2}')
            assay.log_artifact("scores.json")
    with assay.run("another"):
        assay.log_metric("m", 1)
"""


def test_a_file_that_a_nested_run_kept_leads_to_it_and_to_the_run_around_it(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.write(folder, {"in.txt": "1\n", "nested.py": NESTED})
    make.commit(folder)
    call(folder, "nested.py")
    (kept,) = trace(folder, "plot.txt")["came_from"]
    assert (kept["relation"], names(kept)) == ("kept by", "script 'innermost'")
    code, inner = kept["children"]
    assert (inner["relation"], names(inner)) == ("part of", "script 'inner'")
    (outer,) = [node for node in inner["children"] if node["relation"] == "part of"]
    assert [(node["relation"], names(node)) for node in outer["children"]] == [
        ("read", "in.txt"), ("ran", "nested.py"), ("with parameters", "alpha=1"),
        ("code of", names(code)),
    ]  # fmt: skip
    assert [node["relation"] for node in trace(folder, "in.txt")["came_from"]] == ["is"]
    (read,) = trace(folder, "scores.json:mae")["came_from"]
    assert [names(node) for node in read["children"]] == ["script 'innermost'"]
    make.commit(folder)
    assert trace(folder, "plot.txt@HEAD")["came_from"] == [kept]
    (script,) = trace(folder, "nested.py")["led_to"]
    assert names(script).startswith("script 'outer'")
    within = [names(node) for node in script["children"] if node["relation"] == "ran"]
    assert within == ["script 'inner'", "script 'another'"]


def names(node: dict[str, Any]) -> str:
    """Return what a node is called, without ids and hashes."""
    return str(node["label"].partition("  ")[0].rpartition(": ")[2])


def test_a_parameters_file_leads_to_the_scripts_that_read_it(folder: Path):
    make.write(folder, {"params.yaml": "lr: 0.1\n"})
    call(folder, "train.py", "it")
    (read,) = trace(folder, "params.yaml")["led_to"]
    assert (read["relation"], names(read)) == ("read by", "script 'it'")


def test_a_script_that_a_run_wrote_is_followed_to_the_run_that_ran_it(folder: Path):
    commit = make.git(folder, "rev-parse", "HEAD").strip()
    oid = trace(folder, "train.py")["thing"]["id"].removeprefix("data:")
    with open_ledger(workspace.find(folder).ledger_path) as ledger:
        writer = Writer(ledger)

        def start(name: str, command: str | None, at: int) -> str:
            return writer.start_run(
                name=name, kind="script", command=command, directory=".", at=at,
                code=Code(commit=commit),
            )  # fmt: skip

        start("early", "train.py", 1)
        wrote = start("wrote", None, 2)
        writer.add_outputs(wrote, [Data(path="train.py", oid=oid)])
        ran = start("ran", "train.py", 3)
    (written,) = trace(folder, wrote)["led_to"]
    assert [(node["relation"], node["id"]) for node in written["children"]] == [
        ("ran as", f"run:{ran}")
    ]
    script, _ = trace(folder, ran)["came_from"]
    assert [(node["relation"], node["id"]) for node in script["children"]] == [
        ("written by", f"run:{wrote}")
    ]
