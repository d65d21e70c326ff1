"""The flags of `repro` choose the stages that real DVC's do; `stage add` writes what it writes."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from tests import make, stages
from tests.pipeline import diamond
from tests.stages import dvc

pytestmark = [
    pytest.mark.peer,
    pytest.mark.skipif(not stages.DVC.exists(), reason="no real DVC; 'make peers' installs it"),
]


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The diamond after a first run, with starts that both tools write, and a changed input."""
    files = {
        name: text.replace(diamond.SIDE, "$DVC_ROOT/../starts")
        for name, text in {**diamond.FILES, "dvc.yaml": diamond.TEXT}.items()
    }
    place = tmp_path_factory.mktemp("template")
    folder = stages.pipeline(place / "project", files.pop("dvc.yaml"), files)
    make.done(folder, "repro", "-P")
    make.commit(folder)
    make.write(folder, {"in.txt": "1 and more\n"})  # 'right' reads the first character alone
    return folder


def started(
    template: Path, place: Path, tool: str, arguments: Sequence[str], *, within: str = "."
) -> list[str]:
    folder = shutil.copytree(template, place / tool / "project", symlinks=True)
    run = dvc if tool == "dvc" else make.done
    run(folder / within, "repro", *arguments)
    side = place / tool / "starts"
    return sorted(side.read_text().split()) if side.exists() else []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["left"],
        ["-s", "right"],
        ["-p", "right"],
        ["-P"],
        ["--downstream", "left"],
        ["--downstream", "top"],
        ["-R", "sub"],
        ["-s", "-R", "sub"],
        ["--glob", "l*"],
        ["--force-downstream"],
        ["-f", "left"],
        ["-f", "--downstream", "left"],
        ["--allow-missing"],
    ],
    ids=" ".join,
)
def test_the_same_stages_run(template: Path, tmp_path: Path, arguments: list[str]):
    theirs = started(template, tmp_path, "dvc", arguments)
    assert started(template, tmp_path, "assay", arguments) == theirs


def test_a_folder_names_its_own_stages(template: Path, tmp_path: Path):
    theirs = started(template, tmp_path, "dvc", [], within="sub")
    assert started(template, tmp_path, "assay", [], within="sub") == theirs == ["sub", "top"]


ADDED = [
    ["-n", "plain", "-d", "in.txt", "-o", "a b", "cp in.txt 'a b'"],
    ["-n", "words", "-d", "z", "-d", "in.txt", "python", "x.py", "--lr", "3", "a b", ""],
    ["-n", "params", "-p", "lr,b.c", "-p", "cfg.toml:", "-p", "x.yaml:k2,k1", "-p", "a", "true"],
    ["-n", "outs", "-o", "o", "-O", "on", "--outs-persist", "op", "--outs-persist-no-cache", "opn",
     "-m", "m.json", "-M", "m2.json", "--plots", "p.csv", "--plots-no-cache", "p2.csv", "true"],
    ["-n", "more", "--desc", "hello: there", "--always-changed", "-w", "sub", "-o", "d", "true"],
    ["-f", "-n", "plain", "-d", "in.txt", "-o", "c", "cp in.txt c"],
]  # fmt: skip


def test_stages_are_added_as_dvc_adds_them(tmp_path: Path):
    folders = {tool: make.project(tmp_path / tool) for tool in ("dvc", "assay")}
    for tool, folder in folders.items():
        make.write(folder, {"in.txt": "1\n", "z": "", "sub/x": ""})
        for arguments in ADDED:
            (dvc if tool == "dvc" else make.done)(folder, "stage", "add", *arguments)
    theirs, ours = ((folder / "dvc.yaml").read_text() for folder in folders.values())
    assert ours == theirs
    for name in (".gitignore", "sub/.gitignore"):
        theirs, ours = ((folder / name).read_text() for folder in folders.values())
        assert sorted(ours.split("\n")) == sorted(theirs.split("\n"))


def test_dvc_sees_what_is_frozen_here_and_the_other_way_round(tmp_path: Path):
    folder = make.project(tmp_path / "project")
    make.write(folder, {"in.txt": "1\n", "data": "1\n"})
    make.done(folder, "add", "data")
    make.done(folder, "stage", "add", "--run", "-n", "a", "-d", "in.txt", "-o", "o", "cp in.txt o")
    text, record = (folder / "dvc.yaml").read_text(), (folder / "data.dvc").read_text()
    make.done(folder, "freeze", "a", "data.dvc")
    ours = (folder / "dvc.yaml").read_text(), (folder / "data.dvc").read_text()
    make.write(folder, {"in.txt": "2\n"})
    assert "'a' is frozen" in _said(folder, "repro")
    dvc(folder, "unfreeze", "a", "data.dvc")
    assert ((folder / "dvc.yaml").read_text(), (folder / "data.dvc").read_text()) == (text, record)
    dvc(folder, "freeze", "a", "data.dvc")
    assert ((folder / "dvc.yaml").read_text(), (folder / "data.dvc").read_text()) == ours
    make.done(folder, "unfreeze", "a", "data.dvc")
    assert ((folder / "dvc.yaml").read_text(), (folder / "data.dvc").read_text()) == (text, record)


def _said(folder: Path, *arguments: str) -> str:
    import subprocess

    done = subprocess.run(
        [str(stages.DVC), *arguments], cwd=folder, check=True, capture_output=True, text=True
    )
    return done.stdout + done.stderr
