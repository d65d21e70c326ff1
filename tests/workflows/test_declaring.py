"""Stages added, frozen and unfrozen by commands: the rest of the file stays as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from assay.project import edit, emit, yaml12
from tests import make, stages

OWN = """\
# ours
vars:
    - x.yaml

stages:
    # the first one
    first:
        cmd:    python  first.py   --and --a --very --long --line --that --nobody --folds --here   # odd
        deps:
        - in.txt   # read
        outs: [a.txt,   b.txt]

    # between

    second: {cmd: "echo 'x'", deps: [a.txt]}

# the tail
plots:
- p.csv
"""  # noqa: E501


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = make.project(tmp_path / "project")
    make.write(root, {"dvc.yaml": OWN, "x.yaml": "k: 1\n", "in.txt": "1\n", "sub/x": ""})
    make.commit(root)
    return root


def changed(folder: Path) -> list[str]:
    """Return the lines that git sees added and taken away."""
    lines = make.git(folder, "diff", "-U0").splitlines()
    return [line for line in lines if line[:1] in "+-" and line[:3] not in {"+++", "---"}]


def test_a_stage_is_added_and_no_other_line_changes(folder: Path):
    make.done(
        folder, "stage", "add", "-n", "third", "-d", "b.txt", "-o", "c.txt", "cp b.txt c.txt"
    )
    assert changed(folder) == [
        "+    third:", "+      cmd: cp b.txt c.txt", "+      deps:", "+      - b.txt",
        "+      outs:", "+      - c.txt",
    ]  # fmt: skip
    assert (folder / ".gitignore").read_text() == "/c.txt\n"


def test_all_that_can_be_declared_stands_in_the_order_of_dvc(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.done(
        folder, "stage", "add", "--name", "t", "-p", "lr,b.c", "-p", "cfg.toml:",
        "-p", "x.yaml:k2,k1", "-d", "z", "-d", "a.csv", "-o", "o 1", "-O", "on",
        "--outs-persist", "op",
        "--outs-persist-no-cache", "opn", "-m", "m.json", "-M", "m2.json", "--plots", "p.csv",
        "--plots-no-cache", "p2.csv", "--desc", "hello there", "--always-changed",
        "python x.py", "--lr", "3", "a b",
    )  # fmt: skip
    assert (
        (folder / "dvc.yaml").read_text()
        == """\
stages:
  t:
    desc: hello there
    cmd: '"python x.py" --lr 3 "a b"'
    deps:
    - a.csv
    - z
    params:
    - b.c
    - lr
    - cfg.toml:
    - x.yaml:
      - k1
      - k2
    outs:
    - o 1
    - on:
        cache: false
    - op:
        persist: true
    - opn:
        cache: false
        persist: true
    metrics:
    - m.json
    - m2.json:
        cache: false
    plots:
    - p.csv
    - p2.csv:
        cache: false
    always_changed: true
"""
    )
    ignored = (folder / ".gitignore").read_text().split("\n")
    assert sorted(ignored) == ["", "/m.json", "/o 1", "/op", "/p.csv"]


def test_a_stage_of_a_folder_goes_into_its_file_with_its_paths(folder: Path):
    make.done(folder / "sub", "stage", "add", "-n", "u", "-w", "..", "-d", "in.txt", "-o", "u.txt",
              "cp in.txt u.txt")  # fmt: skip
    found = yaml.safe_load((folder / "sub" / "dvc.yaml").read_text())
    assert found["stages"]["u"]["wdir"] == ".."
    assert "/u.txt" in (folder / ".gitignore").read_text()


def test_added_and_run_at_once_as_older_projects_write_it(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.write(folder, {"in": "1\n"})
    make.done(folder, "run", "-n", "a", "-d", "in", "-o", "out", "cp in out")
    make.done(folder, "stage", "add", "--run", "-n", "b", "-d", "out", "-o", "out2", "cp out out2")
    make.done(folder, "run", "--no-exec", "-n", "c", "-o", "c", "echo c > c")
    assert list(stages.locked(folder)) == ["a", "b"]
    assert (folder / "out2").read_text() == "1\n"
    assert "  run " not in make.done(folder, "--help")


def test_force_writes_over_one_stage_alone(folder: Path):
    shown = make.assay(folder, "stage", "add", "-n", "first", "true")
    assert shown.code == 255
    assert "error: dvc.yaml:7: there is a stage 'first' already" in shown.err
    assert "give '--force'" in shown.err
    assert changed(folder) == []
    make.done(
        folder,
        "stage",
        "add",
        "-f",
        "-n",
        "first",
        "-d",
        "in.txt",
        "-o",
        "a.txt",
        "cp in.txt a.txt",
    )
    text = (folder / "dvc.yaml").read_text()
    assert "    # the first one\n    first:\n      cmd: cp in.txt a.txt\n" in text
    assert text.endswith(OWN[OWN.index("    # between") :])


@pytest.mark.parametrize(
    ("arguments", "code", "what"),
    [
        (["-n", "a@b", "true"], 2, "'a@b' cannot be the name of a stage: it has '@'"),
        (["-n", "n", ""], 2, "the command is empty"),
        (["-n", "n"], 2, "Missing argument"),
        (["true"], 2, "Missing option '-n'"),
        (["-n", "n", "-o", "a.txt", "true"], 255,
         "the output 'a.txt' is made by two stages: 'first' and 'n'"),
        (["-n", "n", "-o", "a.txt/x", "true"], 255, "lies inside the output 'a.txt' of 'first'"),
        (["-n", "n", "-d", "b.txt", "-o", "in.txt", "true"], 255, "stages wait for each other"),
        (["-n", "n", "-o", "x", "-O", "./x", "true"], 2, "the output 'x' is given twice"),
        (["-n", "n", "-d", "x", "-d", "x", "true"], 2, "the dependency 'x' is given twice"),
        (["-n", "n", "-d", "x", "-o", "x", "true"], 2, "given as a dependency and as an output"),
        (["-n", "n", "-o", "../x", "true"], 255, "the output '../x' lies outside the project"),
        (["-n", "n", "-w", "nowhere", "true"], 255, "the folder for the command does not exist"),
        (["-n", "n", "-w", "../..", "true"], 2, "lies outside the project"),
        (["-n", "n", "-o", "in.txt", "true"], 1, "git tracks this already"),
        (["-n", "n", "-o", "${nope}", "true"], 255, "nope"),
    ],
)  # fmt: skip
def test_a_stage_that_cannot_be_is_refused_and_nothing_is_written(
    folder: Path, arguments: list[str], code: int, what: str
):
    if "in.txt" in arguments and "b.txt" not in arguments:
        text = OWN.replace("- in.txt   # read", "- other.txt")
        make.write(folder, {"dvc.yaml": text})
    before = make.state(folder)
    shown = make.assay(folder, "stage", "add", *arguments)
    assert shown.code == code, shown
    assert what in shown.err
    assert make.state(folder) == before


@pytest.mark.parametrize(
    ("arguments", "where", "hint"),
    [
        (["-w", "no where", "true"], "no where: ", "make it first: mkdir -p 'no where'"),
        (["echo ${HOME}"], "stage 'n': in stage 'n', there is no variable 'HOME' for '${HOME}'",
         "the shell's own is written '\\${HOME}'"),
    ],
)  # fmt: skip
def test_a_refusal_names_the_place_that_is_there_and_the_way_out(
    folder: Path, arguments: list[str], where: str, hint: str
):
    before = make.state(folder)
    shown = make.assay(folder, "stage", "add", "-n", "n", *arguments)
    assert shown.code == 255
    assert shown.err.startswith(f"error: {where}")
    assert hint in shown.err.splitlines()[1]
    assert make.state(folder) == before
    if arguments[0] != "-w":
        make.done(folder, "stage", "add", "-n", "n", "echo \\${HOME}")


def test_frozen_and_unfrozen_a_file_is_as_it_was(folder: Path):
    make.done(folder, "freeze", "first", "second")
    assert changed(folder) == [
        "+        frozen: true",
        "-    second: {cmd: \"echo 'x'\", deps: [a.txt]}",
        "+    second: {cmd: \"echo 'x'\", deps: [a.txt], frozen: true}",
    ]
    make.done(folder, "unfreeze", "first", "second")
    assert (folder / "dvc.yaml").read_text() == OWN
    assert "like that already" in make.assay(folder, "unfreeze", "first").err


def test_a_dvc_file_is_frozen_too(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.write(folder, {"d.csv": "1\n"})
    make.done(folder, "add", "d.csv")
    before = (folder / "d.csv.dvc").read_text()
    make.done(folder, "freeze", "d.csv.dvc")
    assert (folder / "d.csv.dvc").read_text() == before + "frozen: true\n"
    make.done(folder, "unfreeze", "d.csv.dvc")
    assert (folder / "d.csv.dvc").read_text() == before


def test_a_generated_stage_is_neither_frozen_nor_written_over(tmp_path: Path):
    text = "stages:\n  each:\n    foreach: [a, b]\n    do:\n      cmd: echo ${item}\n"
    folder = stages.pipeline(tmp_path / "project", text)
    for target in ("each@a", "each"):
        shown = make.assay(folder, "freeze", target)
        assert shown.code == 2
        assert "error: dvc.yaml:4: the template 'each' makes the stage 'each@a'" in shown.err
    assert (folder / "dvc.yaml").read_text() == text
    assert make.assay(folder, "freeze", "nope").code == 255


def test_stages_are_listed_as_asked_for(folder: Path):
    make.write(folder, {"sub/dvc.yaml": "stages: {deep: {cmd: x, desc: below}}\n"})
    assert make.done(folder, "stage", "list", "--name-only").split() == ["first", "second"]
    assert make.done(folder, "stage", "list") == (
        "first   Outputs a.txt, b.txt\nsecond  Depends on a.txt\n"
    )
    everything = make.done(folder, "stage", "list", "--all", "--name-only").split()
    assert everything == ["first", "second", "sub/dvc.yaml:deep"]
    assert make.done(folder, "stage", "list", "-R", "sub") == "sub/dvc.yaml:deep  below\n"
    assert make.done(folder / "sub", "stage", "list") == "deep  below\n"
    assert make.done(folder / "sub", "stage", "list", "../dvc.yaml", "--fail", "--name-only") == (
        "../dvc.yaml:first\n../dvc.yaml:second\n"
    )


NAMES = st.text("ab-_ é", min_size=1, max_size=3).map(str.strip).filter(bool)
VALUES = st.one_of(st.just("x"), st.lists(st.sampled_from(["a", "b c", "#d", "e: f"]), max_size=2))
BODIES = st.dictionaries(st.sampled_from(["cmd", "deps", "outs"]), VALUES, min_size=1)


@settings(deadline=None)
@given(st.dictionaries(NAMES, BODIES, max_size=3), NAMES, BODIES, st.sampled_from(["", "{", "{{"]))
def test_whatever_is_there_the_text_says_what_was_asked(there, name, body, style):
    data = {"vars": ["x"], "stages": there, "plots": ["p"]}
    if style == "{":  # each stage on a line of its own
        lines = [f"  {json.dumps(key)}: {json.dumps(one)}\n" for key, one in there.items()]
        text = f"vars: [x]\nstages:{' {}' if not lines else ''}\n{''.join(lines)}plots: [p]\n"
    else:
        text = json.dumps(data) + "\n" if style else emit.dump(data)
    text = f"# head\n{text}# tail\n"
    added = edit.with_stage(text, name, body)
    assert yaml12.load(added, where="") == data | {"stages": there | {name: body}}
    frozen = edit.with_flag(added, ["stages", name], "frozen", is_set=True)
    loaded = yaml12.load(frozen, where="")
    assert loaded["stages"][name] == body | {"frozen": True}
    thawed = edit.with_flag(frozen, ["stages", name], "frozen", is_set=False)
    assert yaml12.load(thawed, where="") == yaml12.load(added, where="")
